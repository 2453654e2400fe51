package objects

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"math"

	"github.com/rhizome-fl/rhizome/p2p/objects/exchangepb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// errProtocol: the other end does not speak the exchange as it should.
var errProtocol = delimited.ErrMalformed

// want is a Want that was checked.
type want struct {
	id      string
	offset  int64
	suspect bool
}

// request is a Request that was checked.
type request struct {
	runID  uint64
	wants  []want
	budget int64 // in (0, maxChunk]
}

// readRequest reads what a stranger asks for.
func readRequest(r *bufio.Reader) (request, error) {
	var msg exchangepb.Request
	if err := delimited.Read(r, maxRequest, &msg); err != nil {
		return request{}, fmt.Errorf("read request: %w", err)
	}
	req := request{runID: msg.GetRunId(), budget: maxChunk}
	if b := msg.GetBudget(); b > 0 && b < maxChunk {
		req.budget = int64(b)
	}
	if len(msg.GetWants()) > maxWants {
		return request{}, fmt.Errorf("%w: %d objects in one request, %d are allowed", errProtocol, len(msg.GetWants()), maxWants)
	}
	for _, w := range msg.GetWants() {
		id := hex.EncodeToString(w.GetId())
		if !object.Valid(id) {
			return request{}, fmt.Errorf("%w: id of %d bytes", errProtocol, len(w.GetId()))
		}
		if w.GetOffset() > math.MaxInt64 {
			return request{}, fmt.Errorf("%w: offset %d", errProtocol, w.GetOffset())
		}
		req.wants = append(req.wants, want{id: id, offset: int64(w.GetOffset()), suspect: w.GetSuspect()})
	}
	return req, nil
}

func writeRequest(w io.Writer, req request) error {
	msg := &exchangepb.Request{RunId: req.runID, Budget: uint64(req.budget)}
	for _, want := range req.wants {
		id, err := hex.DecodeString(want.id)
		if err != nil {
			return fmt.Errorf("%w: %q", ErrBadID, want.id)
		}
		msg.Wants = append(msg.Wants, &exchangepb.Want{Id: id, Offset: uint64(want.offset), Suspect: want.suspect})
	}
	return delimited.Write(w, msg)
}

// answer is an Answer that was checked.
type answer struct {
	status exchangepb.Answer_Status
	size   int64
	length int64
	detail string
}

// readAnswer reads the next Answer to w that is not a sign of waiting; it calls alive for
// those. io.EOF means that the sender has ended the stream in due form.
func readAnswer(r *bufio.Reader, w want, alive func()) (answer, error) {
	for {
		var msg exchangepb.Answer
		if err := delimited.Read(r, maxAnswer, &msg); err != nil {
			return answer{}, err
		}
		if msg.GetStatus() == exchangepb.Answer_WAIT {
			alive()
			continue
		}
		size, length := msg.GetSize(), msg.GetLength()
		if size > math.MaxInt64 || length > size || length > size-min(uint64(w.offset), size) {
			return answer{}, fmt.Errorf("%w: %d bytes from offset %d of an object of %d", errProtocol, length, w.offset, size)
		}
		if length > 0 && msg.GetStatus() != exchangepb.Answer_OK {
			return answer{}, fmt.Errorf("%w: content with status %v", errProtocol, msg.GetStatus())
		}
		return answer{msg.GetStatus(), int64(size), int64(length), msg.GetDetail()}, nil
	}
}

func writeAnswer(w io.Writer, a answer) error {
	return delimited.Write(w, &exchangepb.Answer{
		Status: a.status, Size: uint64(a.size), Length: uint64(a.length), Detail: shorten(a.detail),
	})
}

// shorten keeps a text below maxDetail bytes and valid UTF-8, which protobuf insists on.
func shorten(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	cut := maxDetail
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut]
}
