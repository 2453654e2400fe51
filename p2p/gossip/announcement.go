package gossip

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/gossip/gossippb"
)

type peerID = peer.ID

// domain separates these signatures from all others made with a link's key.
const domain = "rhizome run announcement 1\n"

// Kind of an announcement.
type Kind int32

const (
	Started  Kind = Kind(gossippb.Announcement_STARTED)
	Stopped  Kind = Kind(gossippb.Announcement_STOPPED)
	Finished Kind = Kind(gossippb.Announcement_FINISHED)
	// Wanted announces objects that many nodes will need.
	Wanted Kind = Kind(gossippb.Announcement_WANTED)
)

func (k Kind) String() string {
	switch k {
	case Started:
		return "started"
	case Stopped:
		return "stopped"
	case Finished:
		return "finished"
	case Wanted:
		return "wanted"
	}
	return fmt.Sprintf("kind %d", int32(k))
}

// Announcement is what a link says about one run.
type Announcement struct {
	Kind     Kind
	RunID    uint64
	SeriesID uint64
	FabHash  string   // 64 hexadecimal digits, or empty
	Objects  []string // ids; at most MaxObjects

	// The rest is filled in by [Publisher.Publish].
	Link       peer.ID
	Federation string
	Created    time.Time // to the millisecond
	Nonce      uint64
}

// sign stamps the announcement and returns what travels.
func (a *Announcement) sign(key crypto.PrivKey) ([]byte, error) {
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	a.Nonce = binary.BigEndian.Uint64(nonce[:])
	a.Created = time.Now().Truncate(time.Millisecond)
	if err := a.validate(); err != nil {
		return nil, err
	}
	body, err := proto.Marshal(&gossippb.Announcement{
		Link:              []byte(a.Link),
		Federation:        a.Federation,
		Kind:              gossippb.Announcement_Kind(a.Kind),
		RunId:             a.RunID,
		SeriesId:          a.SeriesID,
		FabHash:           a.FabHash,
		CreatedUnixMillis: a.Created.UnixMilli(),
		Nonce:             a.Nonce,
		ObjectIds:         a.Objects,
	})
	if err != nil {
		return nil, fmt.Errorf("encode announcement: %w", err)
	}
	signature, err := key.Sign(append([]byte(domain), body...))
	if err != nil {
		return nil, fmt.Errorf("sign announcement: %w", err)
	}
	raw, err := proto.Marshal(&gossippb.Signed{Announcement: body, Signature: signature})
	if err != nil {
		return nil, fmt.Errorf("encode announcement: %w", err)
	}
	return raw, nil
}

// Open verifies that raw is an announcement of that link for that federation. It does not check
// its age, nor whether it was seen before. It fails with [ErrMalformed] or [ErrForged].
func Open(raw []byte, link peer.ID, federation string) (Announcement, error) {
	if len(raw) > MaxSize {
		return Announcement{}, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(raw), MaxSize)
	}
	var signed gossippb.Signed
	if err := proto.Unmarshal(raw, &signed); err != nil {
		return Announcement{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	// An announcement has only one encoding, or a forwarder could keep making new ones of it.
	if canonical, err := proto.Marshal(&signed); err != nil || len(signed.ProtoReflect().GetUnknown()) > 0 || !bytes.Equal(canonical, raw) {
		return Announcement{}, fmt.Errorf("%w: not in its one encoding", ErrMalformed)
	}
	key, err := link.ExtractPublicKey()
	if err != nil {
		return Announcement{}, fmt.Errorf("public key of link %s: %w", link, err)
	}
	ok, err := key.Verify(append([]byte(domain), signed.GetAnnouncement()...), signed.GetSignature())
	if err != nil || !ok {
		return Announcement{}, fmt.Errorf("%w: wrong signature", ErrForged)
	}
	var body gossippb.Announcement
	if err := proto.Unmarshal(signed.GetAnnouncement(), &body); err != nil {
		return Announcement{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	a := Announcement{
		Kind:       Kind(body.GetKind()),
		RunID:      body.GetRunId(),
		SeriesID:   body.GetSeriesId(),
		FabHash:    body.GetFabHash(),
		Objects:    body.GetObjectIds(),
		Link:       peer.ID(body.GetLink()),
		Federation: body.GetFederation(),
		Created:    time.UnixMilli(body.GetCreatedUnixMillis()),
		Nonce:      body.GetNonce(),
	}
	if a.Link != link || a.Federation != federation {
		return Announcement{}, fmt.Errorf("%w: it is for another federation", ErrForged)
	}
	return a, a.validate()
}

// validate holds both sides to the same bounds. Unknown kinds pass: a newer link may have more to
// say than an older node understands.
func (a *Announcement) validate() error {
	switch {
	case a.Kind <= 0:
		return fmt.Errorf("%w: it has no kind", ErrMalformed)
	case len(a.Federation) > maxName:
		return fmt.Errorf("%w: a federation's name of %d bytes", ErrMalformed, len(a.Federation))
	case a.FabHash != "" && !isHash(a.FabHash):
		return fmt.Errorf("%w: FAB hash %.80q", ErrMalformed, a.FabHash)
	case len(a.Objects) > MaxObjects:
		return fmt.Errorf("%w: %d object ids, at most %d", ErrMalformed, len(a.Objects), MaxObjects)
	}
	for _, id := range a.Objects {
		if !isHash(id) {
			return fmt.Errorf("%w: object id %.80q", ErrMalformed, id)
		}
	}
	return nil
}

// isHash: 64 lowercase hexadecimal digits, the form of object ids and FAB hashes.
func isHash(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
