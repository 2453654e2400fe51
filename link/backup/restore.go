package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// ErrDamaged means that the file is not a backup, or not a whole one.
var ErrDamaged = errors.New("this is not a whole backup")

// Report says what was restored.
type Report struct {
	Manifest Manifest
	Objects  int
	// Damaged are objects that were already damaged when the backup was made; they are left out,
	// and the runs that need them fail.
	Damaged []string
}

// Restore turns a link's backup into a data directory. dataDir must be empty or not exist; it
// appears once all of it is verified and on disk, and not at all after an error.
func Restore(ctx context.Context, r io.Reader, dataDir string) (Report, error) {
	target, err := filepath.Abs(dataDir)
	if err != nil {
		return Report{}, fmt.Errorf("restore: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return Report{}, fmt.Errorf("restore: %w", err)
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Report{}, fmt.Errorf("restore into %s: it exists and is not empty: name a new directory (%w)", dataDir, err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(target), ".restore-*")
	if err != nil {
		return Report{}, fmt.Errorf("restore: %w", err)
	}
	report, err := restore(ctx, r, temp)
	if err == nil {
		err = os.Rename(temp, target)
	}
	if err == nil {
		err = datadir.SyncDir(filepath.Dir(target))
	}
	if err != nil {
		return Report{}, fmt.Errorf("restore into %s: %w", dataDir, errors.Join(err, os.RemoveAll(temp)))
	}
	return report, nil
}

func restore(ctx context.Context, r io.Reader, temp string) (report Report, err error) {
	dir, err := datadir.Open(temp, "link")
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	store, err := objects.OpenDir(dir.Path(objectsFolder), objects.DirOptions{})
	if err != nil {
		return Report{}, err
	}
	in := &unpacking{ctx: ctx, dir: dir, objects: store, sums: make(map[string]string)}
	if err := in.all(tar.NewReader(r)); err != nil {
		return Report{}, err
	}
	if err := in.sync(); err != nil {
		return Report{}, err
	}
	// Opening checks the file, and brings an older schema up to date.
	state, err := sqlite.Open(ctx, dir.Path(databaseName), sqlite.Options{})
	if err != nil {
		return Report{}, err
	}
	return in.report, state.Close()
}

// unpacking is a backup that is being read.
type unpacking struct {
	ctx     context.Context
	dir     *datadir.Dir
	objects *objects.Dir
	sums    map[string]string
	report  Report
}

// all reads to the end, where the checksums must be.
func (in *unpacking) all(archive *tar.Reader) error {
	for first := true; ; first = false {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: it ends early", ErrDamaged)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case first && header.Name != manifestName:
			return fmt.Errorf("%w: it has no manifest", ErrDamaged)
		case header.Name == checksumsName:
			return in.compare(archive)
		}
		if _, twice := in.sums[header.Name]; twice || header.Typeflag != tar.TypeReg || sparse(header) {
			return fmt.Errorf("%w: entry %.80q is out of place", ErrDamaged, header.Name)
		}
		hash := sha256.New()
		if err := in.entry(header, io.TeeReader(archive, hash)); err != nil {
			return err
		}
		in.sums[header.Name] = hex.EncodeToString(hash.Sum(nil))
	}
}

// sparse reports whether an entry has holes: with them a small archive could fill a disk.
func sparse(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// entry reads one file of the archive. Only names that a backup has are accepted.
func (in *unpacking) entry(header *tar.Header, content io.Reader) error {
	switch name := header.Name; {
	case name == manifestName:
		return in.manifest(content)
	case name == databaseName:
		return in.file(name, header.Size, content)
	case strings.HasPrefix(name, objectsFolder+"/"):
		return in.object(strings.TrimPrefix(name, objectsFolder+"/"), header.Size, content)
	case slices.Contains(plainFiles, name) && header.Size <= maxSmall:
		return in.file(name, header.Size, content)
	default:
		return fmt.Errorf("%w: it has an unknown entry %.80q", ErrDamaged, name)
	}
}

func (in *unpacking) manifest(content io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(content, maxSmall))
	if err == nil {
		err = json.Unmarshal(text, &in.report.Manifest)
	}
	if err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	m := in.report.Manifest
	if m.Kind != "link" {
		return fmt.Errorf("%w: it is of kind %.80q", ErrDamaged, m.Kind)
	}
	if m.Format > format {
		return fmt.Errorf("the backup has format %d and this rhizome knows %d: use the newer rhizome", m.Format, format)
	}
	return nil
}

func (in *unpacking) file(name string, size int64, content io.Reader) error {
	file, err := os.OpenFile(in.dir.Path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%w: entry %.80q: %w", ErrDamaged, name, err)
	}
	_, err = io.CopyN(file, content, size)
	return errors.Join(err, file.Close())
}

// sync makes durable what file has written.
func (in *unpacking) sync() error {
	for _, name := range append([]string{databaseName}, plainFiles...) {
		file, err := os.Open(in.dir.Path(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(file.Sync(), file.Close())
		}
		if err != nil {
			return err
		}
	}
	return datadir.SyncDir(in.dir.Path())
}

func (in *unpacking) object(id string, size int64, content io.Reader) error {
	err := in.objects.Put(in.ctx, id, size, content)
	switch {
	case errors.Is(err, objects.ErrMismatch): // compare finds out whether the archive is at fault
		in.report.Damaged = append(in.report.Damaged, id)
		_, err := io.Copy(io.Discard, content)
		return err
	case errors.Is(err, objects.ErrBadID):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case err == nil:
		in.report.Objects++
	}
	return err
}

// compare checks what came against the list that the writer of the backup made.
func (in *unpacking) compare(content io.Reader) error {
	var want map[string]string
	if err := json.NewDecoder(io.LimitReader(content, maxChecksums)).Decode(&want); err != nil {
		return fmt.Errorf("%w: checksums: %w", ErrDamaged, err)
	}
	for name, sum := range want {
		if in.sums[name] != sum {
			return fmt.Errorf("%w: %s is missing or has changed", ErrDamaged, name)
		}
	}
	if len(in.sums) != len(want) || want[databaseName] == "" {
		return fmt.Errorf("%w: it holds %d files and lists %d", ErrDamaged, len(in.sums), len(want))
	}
	return nil
}
