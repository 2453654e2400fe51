package fab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// A zip file can be read in more than one way: from the end, as the central directory says;
// from the start, local header by local header; or through zip64 records, which some readers
// look for and some do not. A site that vets one app must not run another, so a bundle must
// have the one layout that leaves nothing to choose:
//
//	┌ local header, data ┐ ... ┌ local header, data ┐ ┌ central directory ┐ ┌ end record ┐
//	0                                                                                 size
//
// Each part begins where the one before it ends, both directories say the same about each entry,
// in the same order, and nothing is left over that could be taken for a record: no comments, no
// zip64, only printable names. Flower's own bundles are written by Python's zipfile, which does just that.
//
// Sizes and signatures are those of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16.
const (
	localHeaderLen   = 30
	centralHeaderLen = 46
	endRecordLen     = 22
	descriptorLen    = 16

	localSignature      = 0x04034b50
	centralSignature    = 0x02014b50
	endSignature        = 0x06054b50
	descriptorSignature = 0x08074b50

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3
	flagUTF8       = 1 << 11

	methodStored   = 0
	methodDeflated = 8

	// extraTimestamp is the extended timestamp of Info-ZIP, the only extra field that is allowed:
	// others can give an entry another name (0x7075) or another size (0x0001).
	extraTimestamp = 0x5455
)

// record is a fixed part of a zip file, little endian.
type record []byte

func (r record) u16(at int) int    { return int(binary.LittleEndian.Uint16(r[at:])) }
func (r record) u32(at int) uint32 { return binary.LittleEndian.Uint32(r[at:]) }

// layout walks a bundle from its first byte to its last.
type layout struct {
	r    io.ReaderAt
	size int64
}

// checkLayout refuses every zip file that two readers could understand in two ways.
func checkLayout(r io.ReaderAt, size int64) error {
	l := layout{r, size}
	end, err := l.read(size-endRecordLen, endRecordLen)
	if err != nil || end.u32(0) != endSignature {
		return fmt.Errorf("%w: no end record in its last %d bytes", ErrNotZip, endRecordLen)
	}
	entries, central := end.u16(10), int64(end.u32(16))
	switch {
	case end.u16(4) != 0 || end.u16(6) != 0 || end.u16(8) != entries:
		return ambiguous("it is in several parts")
	case end.u16(20) != 0:
		return ambiguous("its end record has a comment")
	case entries > maxEntries:
		return fmt.Errorf("%w: it has %d files; at most %d are allowed", ErrInvalid, entries, maxEntries)
	case central+int64(end.u32(12)) != size-endRecordLen:
		return ambiguous("its directory does not end where its end record begins")
	}
	local, at := int64(0), central
	for range entries {
		if local, at, err = l.entry(local, at); err != nil {
			return err
		}
	}
	if local != central || at != size-endRecordLen {
		return ambiguous("there are bytes that belong to no file")
	}
	return nil
}

// entry compares what both directories say about one file, and returns where the next one
// begins in each.
func (l layout) entry(local, central int64) (nextLocal, nextCentral int64, err error) {
	c, err := l.read(central, centralHeaderLen)
	if err != nil || c.u32(0) != centralSignature {
		return 0, 0, ambiguous("its directory lists fewer files than it claims")
	}
	name, extra := c.u16(28), c.u16(30)
	h, err := l.read(local, localHeaderLen)
	if err != nil || h.u32(0) != localSignature || int64(c.u32(42)) != local {
		return 0, 0, ambiguous("a file is not where its directory says")
	}
	centralNames, err := l.read(central+centralHeaderLen, name+extra)
	if err != nil {
		return 0, 0, err
	}
	localNames, err := l.read(local+localHeaderLen, h.u16(26)+h.u16(28))
	if err != nil {
		return 0, 0, err
	}
	text := string(centralNames[:name])
	if h.u16(26) != name || string(localNames[:name]) != text {
		return 0, 0, ambiguous("file %.100q has two names", text)
	}
	if err := checkHead(text, c, h); err != nil {
		return 0, 0, err
	}
	if !onlyTimestamp(centralNames[name:]) || !onlyTimestamp(localNames[name:]) {
		return 0, 0, ambiguous("file %.100q has extra fields", text)
	}
	next := local + localHeaderLen + int64(len(localNames)) + int64(c.u32(20))
	if c.u16(8)&flagDescriptor != 0 {
		d, err := l.read(next, descriptorLen)
		if err != nil || d.u32(0) != descriptorSignature || d.u32(4) != c.u32(16) || d.u32(8) != c.u32(20) || d.u32(12) != c.u32(24) {
			return 0, 0, ambiguous("file %.100q has two sizes", text)
		}
		next += descriptorLen
	}
	return next, central + centralHeaderLen + int64(len(centralNames)), nil
}

// checkHead compares the two fixed headers of a file.
func checkHead(name string, central, local record) error {
	flags, method := central.u16(8), central.u16(10)
	switch {
	case flags&^(flagDescriptor|flagUTF8|0x6) != 0: // 0x6: how hard the compressor tried
		return fmt.Errorf("%w: file %.100q is encrypted or of a kind that not every reader supports", ErrInvalid, name)
	case local.u16(6) != flags || local.u16(8) != method:
		return ambiguous("file %.100q is described in two ways", name)
	case method != methodStored && method != methodDeflated:
		return fmt.Errorf("%w: file %.100q is compressed by method %d, which not every reader supports", ErrInvalid, name, method)
	case method == methodStored && central.u32(20) != central.u32(24):
		return ambiguous("file %.100q has two sizes", name)
	case central.u16(32) != 0 || central.u16(34) != 0:
		return ambiguous("file %.100q has a comment or is in another part", name)
	case !printable(name, flags&flagUTF8 != 0):
		return ambiguous("file name %.100q is read in one way here and in another there", name)
	}
	if flags&flagDescriptor != 0 {
		return nil // the sizes follow the data
	}
	for _, at := range [][2]int{{14, 16}, {18, 20}, {22, 24}} { // checksum, packed and unpacked size
		if local.u32(at[0]) != central.u32(at[1]) {
			return ambiguous("file %.100q has two sizes", name)
		}
	}
	return nil
}

// printable tells whether every reader takes a name the same way: readers disagree about the
// encoding of a name that is not marked as UTF-8, and some end a name at a zero byte.
func printable(name string, isUTF8 bool) bool {
	if !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || r >= utf8.RuneSelf && !isUTF8 {
			return false
		}
	}
	return true
}

// onlyTimestamp tells whether the extra fields hold at most a timestamp, which is too short to
// hide a record in.
func onlyTimestamp(extra record) bool {
	if len(extra) == 0 {
		return true
	}
	const head, most = 4, 13 // three times of 4 bytes, and a byte that says which
	return len(extra) >= head && extra.u16(0) == extraTimestamp && extra.u16(2) == len(extra)-head && len(extra)-head <= most
}

func (l layout) read(at int64, n int) (record, error) {
	if at < 0 || at+int64(n) > l.size {
		return nil, ambiguous("one of its parts lies outside the file")
	}
	b := make(record, n)
	if _, err := l.r.ReadAt(b, at); err != nil && (!errors.Is(err, io.EOF) || at+int64(n) != l.size) {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	return b, nil
}

func ambiguous(format string, args ...any) error {
	return fmt.Errorf("%w: two readers could find two apps in it: "+format, append([]any{ErrInvalid}, args...)...)
}
