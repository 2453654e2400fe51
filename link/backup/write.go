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
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// format is the version of the file's format; newer ones are refused.
const format = 1

// These are names in the archive.
const (
	manifestName  = "manifest.json"
	databaseName  = "state.db"
	objectsFolder = "objects"
	checksumsName = "checksums.json"
)

// plainFiles of a data directory are copied as they are, if they exist: who the link is, and
// where it listens.
var plainFiles = []string{"identity", "port"}

// TempPattern matches the names of the folders that a backup needs while it is being written. A
// link removes those that a crash has left behind.
const TempPattern = "backup-*"

// Manifest says what a backup is.
type Manifest struct {
	Kind      string    `json:"kind"` // link
	Format    int       `json:"format"`
	PeerID    string    `json:"peer_id"`
	Software  string    `json:"software,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Source is the running link.
type Source struct {
	PeerID, Software string
	// DataDir is the link's data directory.
	DataDir string
	// Snapshot writes the database to a file and lists the objects that belong to it.
	Snapshot func(ctx context.Context, path string) (objectIDs []string, err error)
	// Export gives an object a second name. It returns objects.ErrNotFound if there is no such object.
	Export func(id, path string) error
}

// Prepared is what a backup will hold. It must be closed.
type Prepared struct {
	manifest Manifest
	dir      string
	ids      []string
}

// Prepare takes the snapshot: from here on nothing that happens at the link changes what is
// written. It needs room for a second copy of the database.
func Prepare(ctx context.Context, source Source) (*Prepared, error) {
	for try := 1; ; try++ {
		// An object that is not there belonged to a run that has ended since the snapshot. If it is
		// still missing at the last try, the run has lost it, and it is left out.
		p, err := prepare(ctx, source, try == maxTries)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, objects.ErrNotFound) {
			return nil, fmt.Errorf("back up: %w", err)
		}
	}
}

func prepare(ctx context.Context, source Source, without bool) (_ *Prepared, err error) {
	p := &Prepared{manifest: Manifest{
		Kind: "link", Format: format, PeerID: source.PeerID, Software: source.Software, CreatedAt: time.Now().UTC().Truncate(time.Second),
	}}
	if p.dir, err = os.MkdirTemp(source.DataDir, TempPattern); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	ids, err := source.Snapshot(ctx, p.path(databaseName))
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(p.path(objectsFolder), 0o700); err != nil {
		return nil, err
	}
	for _, id := range ids {
		err := source.Export(id, p.path(objectsFolder, id))
		switch {
		case errors.Is(err, objects.ErrNotFound) && without:
			continue
		case err != nil:
			return nil, err
		}
		p.ids = append(p.ids, id)
	}
	for _, name := range plainFiles {
		if err := copySmall(filepath.Join(source.DataDir, name), p.path(name)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func copySmall(from, to string) error {
	file, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSmall))
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// Close removes what the backup needed on disk.
func (p *Prepared) Close() error { return os.RemoveAll(p.dir) }

func (p *Prepared) path(elem ...string) string {
	return filepath.Join(append([]string{p.dir}, elem...)...)
}

// WriteTo writes the file. What is left after an error is not mistaken for a backup.
func (p *Prepared) WriteTo(w io.Writer) (int64, error) {
	out := &archive{tar: tar.NewWriter(w), at: p.manifest.CreatedAt, sums: make(map[string]string)}
	if err := p.write(out); err != nil {
		return out.written, fmt.Errorf("write the backup: %w", err)
	}
	return out.written, nil
}

func (p *Prepared) write(out *archive) error {
	manifest, err := json.Marshal(p.manifest)
	if err != nil {
		return err
	}
	if err := out.add(manifestName, manifest); err != nil {
		return err
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		if err := out.addFile(entry.Name(), p.path(entry.Name())); err != nil {
			return err
		}
	}
	for _, id := range p.ids {
		if err := out.addFile(objectsFolder+"/"+id, p.path(objectsFolder, id)); err != nil {
			return err
		}
	}
	sums, err := json.Marshal(out.sums)
	if err != nil {
		return err
	}
	if err := out.add(checksumsName, sums); err != nil {
		return err
	}
	return out.tar.Close()
}

// archive is the file as it is being written.
type archive struct {
	tar     *tar.Writer
	at      time.Time
	sums    map[string]string // SHA-256 by name
	written int64
}

func (a *archive) add(name string, content []byte) error {
	sum := sha256.Sum256(content)
	a.sums[name] = hex.EncodeToString(sum[:])
	if err := a.header(name, int64(len(content))); err != nil {
		return err
	}
	n, err := a.tar.Write(content)
	a.written += int64(n)
	return err
}

func (a *archive) addFile(name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := a.header(name, info.Size()); err != nil {
		return err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(a.tar, hash), io.LimitReader(file, info.Size()))
	a.written += n
	a.sums[name] = hex.EncodeToString(hash.Sum(nil))
	return err
}

func (a *archive) header(name string, size int64) error {
	return a.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: a.at, Format: tar.FormatPAX})
}
