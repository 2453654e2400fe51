package ticket

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket/ticketpb"
)

// Prefix begins a printable ticket; the digit is the version of its format.
const Prefix = "rhz1"

// These are errors that a caller can tell apart with [errors.Is].
var (
	ErrDamaged   = errors.New("the ticket is cut or changed: copy the whole line again")
	ErrExpired   = errors.New("the ticket has expired: ask for a new one")
	ErrOtherLink = errors.New("the ticket is for another link")
	ErrNoAddress = errors.New("the ticket names no address of the link")
	ErrNoPeer    = errors.New("the address names no peer: it must end in /p2p/ and the link's peer id")
)

// Ticket is what a link gives to those who may join.
type Ticket struct {
	Link       peer.ID
	Addrs      []ma.Multiaddr // of the link, without the final /p2p/
	Federation string
	TokenID    string
	Secret     []byte
	Role       join.Role
	Expires    time.Time // zero: never; in whole seconds
	Swarm      bool      // the link lets members fetch objects from each other
}

// signed precedes what is signed, so that no other signature of the link can be taken for a
// ticket.
const signed = "rhizome ticket 1\x00"

// signatureSize is that of Ed25519.
const signatureSize = 64

var encoding = base64.RawURLEncoding.Strict()

// Sign returns the printable form. key must be the identity of t.Link, an Ed25519 key.
func (t Ticket) Sign(key crypto.PrivKey) (string, error) {
	if key.Type() != crypto.Ed25519 || !t.Link.MatchesPrivateKey(key) {
		return "", fmt.Errorf("sign ticket: the key is not the Ed25519 identity of link %s", t.Link)
	}
	if err := t.validate(); err != nil {
		return "", fmt.Errorf("sign ticket: %w", err)
	}
	message := &ticketpb.Ticket{
		Link: []byte(t.Link), Federation: t.Federation, TokenId: t.TokenID, Secret: t.Secret, Role: string(t.Role), Swarm: t.Swarm,
	}
	for _, a := range t.Addrs {
		message.Addrs = append(message.Addrs, a.Bytes())
	}
	if !t.Expires.IsZero() {
		message.Expires = t.Expires.Unix()
	}
	payload, err := proto.Marshal(message)
	if err != nil {
		return "", fmt.Errorf("encode ticket: %w", err)
	}
	signature, err := key.Sign(append([]byte(signed), payload...))
	if err != nil {
		return "", fmt.Errorf("sign ticket: %w", err)
	}
	return Prefix + encoding.EncodeToString(append(signature, payload...)), nil
}

// Parse reads a printable ticket and verifies its signature. It ignores white space, which
// terminals and mail programs put into long lines. An expired ticket is returned with
// [ErrExpired], so that its bearer can be told which federation it was for.
func Parse(s string) (Ticket, error) {
	if len(s) > maxLine {
		return Ticket{}, fmt.Errorf("%w (%d characters are too many)", ErrDamaged, len(s))
	}
	s = strings.Join(strings.Fields(s), "")
	body, found := strings.CutPrefix(s, Prefix)
	if !found {
		return Ticket{}, fmt.Errorf("%w (it must begin with %s)", ErrDamaged, Prefix)
	}
	raw, err := encoding.DecodeString(body)
	if err != nil || len(raw) <= signatureSize {
		return Ticket{}, ErrDamaged
	}
	signature, payload := raw[:signatureSize], raw[signatureSize:]
	var message ticketpb.Ticket
	if err := proto.Unmarshal(payload, &message); err != nil {
		return Ticket{}, ErrDamaged
	}
	link, err := peer.IDFromBytes(message.GetLink())
	if err != nil {
		return Ticket{}, ErrDamaged
	}
	key, err := link.ExtractPublicKey() // an Ed25519 id holds the key itself
	if err != nil || key.Type() != crypto.Ed25519 {
		return Ticket{}, ErrDamaged
	}
	if ok, err := key.Verify(append([]byte(signed), payload...), signature); err != nil || !ok {
		return Ticket{}, ErrDamaged
	}
	t, err := decode(link, &message)
	if err != nil {
		return Ticket{}, err
	}
	if !t.Expires.IsZero() && !time.Now().Before(t.Expires) {
		return t, fmt.Errorf("%w (it was valid until %s)", ErrExpired, t.Expires.Format(time.RFC3339))
	}
	return t, nil
}

func decode(link peer.ID, m *ticketpb.Ticket) (Ticket, error) {
	t := Ticket{
		Link: link, Federation: m.GetFederation(), TokenID: m.GetTokenId(), Secret: m.GetSecret(),
		Role: join.Role(m.GetRole()), Swarm: m.GetSwarm(),
	}
	for _, raw := range m.GetAddrs() {
		// A link of a later version may know kinds of addresses that we do not.
		if a, err := ma.NewMultiaddrBytes(raw); err == nil {
			t.Addrs = append(t.Addrs, a)
		}
	}
	if m.GetExpires() != 0 {
		t.Expires = time.Unix(m.GetExpires(), 0)
	}
	return t, t.validate()
}

// For returns an error if the ticket is not one of link.
func (t Ticket) For(link peer.ID) error {
	if t.Link != link {
		return fmt.Errorf("%w: it is for %s, not %s", ErrOtherLink, t.Link, link)
	}
	return nil
}

func (t Ticket) validate() error {
	if err := t.Link.Validate(); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if len(t.Addrs) == 0 {
		return ErrNoAddress
	}
	if len(t.Addrs) > maxAddrs {
		return fmt.Errorf("%d addresses, more than %d", len(t.Addrs), maxAddrs)
	}
	for _, a := range t.Addrs {
		if len(a) == 0 || len(a.Bytes()) > maxAddr {
			return fmt.Errorf("address %q is empty or longer than %d bytes", a, maxAddr)
		}
	}
	if err := t.Role.Check(); err != nil {
		return err
	}
	for _, text := range []string{t.Federation, t.TokenID} {
		if len(text) > maxText || !printable.Is(text) {
			return fmt.Errorf("%q is longer than %d bytes or cannot be printed", text, maxText)
		}
	}
	if len(t.Secret) > maxSecret {
		return fmt.Errorf("a secret of %d bytes, more than %d", len(t.Secret), maxSecret)
	}
	return nil
}
