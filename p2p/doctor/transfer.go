package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/doctor/doctorpb"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// transfer serves one request: it sends or takes bytes until there are as many as agreed, or time
// is up.
func transfer(ctx context.Context, stream *streams.Stream) error {
	var req doctorpb.TransferRequest
	if err := readMessage(stream, &req); err != nil {
		return err
	}
	stream.Begun()
	waiting, cancel := context.WithTimeout(ctx, transferWait)
	defer cancel()
	if err := stream.Turn(waiting); err != nil {
		return refuseTransfer(stream)
	}
	granted := min(req.GetBytes(), transferBytes)
	if err := delimited.Write(stream, &doctorpb.TransferAnswer{Bytes: granted}); err != nil {
		return err
	}
	_ = stream.SetDeadline(time.Now().Add(transferLimit))
	if !req.GetUpload() {
		_, err := push(stream, granted, transferLimit)
		return err
	}
	got, took, err := pull(stream, granted)
	if err != nil && got == 0 {
		return err
	}
	_ = stream.SetDeadline(time.Now().Add(streamTimeout))
	return delimited.Write(stream, &doctorpb.TransferResult{Bytes: got, Nanos: int64(took)})
}

func refuseTransfer(to io.Writer) error {
	return delimited.Write(to, &doctorpb.TransferAnswer{Refused: "others measure at the moment"})
}

// push writes up to n bytes for up to limit, and says how many it wrote.
func push(to network.MuxedStream, n uint64, limit time.Duration) (sent uint64, err error) {
	chunk := make([]byte, transferChunk)
	for begun := time.Now(); sent < n && time.Since(begun) < limit; {
		k, err := to.Write(chunk[:min(n-sent, uint64(len(chunk)))])
		sent += uint64(k)
		if err != nil {
			return sent, err
		}
	}
	return sent, to.CloseWrite()
}

// pull reads up to n bytes until the other side ends or the stream's deadline passes. The time is
// that between the first chunk and the last, and the first is not counted: it came with the delay
// of the line, which is not its speed.
func pull(from io.Reader, n uint64) (got uint64, took time.Duration, err error) {
	chunk := make([]byte, transferChunk)
	var first time.Time
	var counted uint64
	for got < n {
		k, err := from.Read(chunk)
		if k > 0 {
			if got += uint64(k); first.IsZero() {
				first = time.Now()
			} else {
				counted += uint64(k)
				took = time.Since(first)
			}
		}
		if err != nil {
			return counted, took, ignoreEOF(err)
		}
	}
	return counted, took, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// download makes the other side send, and returns bytes per second.
func download(s network.MuxedStream) (rate float64, err error) {
	granted, err := agree(s, &doctorpb.TransferRequest{Bytes: transferBytes})
	if err != nil {
		return 0, err
	}
	_ = s.SetReadDeadline(time.Now().Add(transferTime))
	got, took, err := pull(s, granted)
	return rateOf(got, took, err)
}

// upload sends, and returns the bytes per second at which the other side received them.
func upload(s network.MuxedStream) (rate float64, err error) {
	granted, err := agree(s, &doctorpb.TransferRequest{Upload: true, Bytes: transferBytes})
	if err != nil {
		return 0, err
	}
	if _, err := push(s, granted, transferTime); err != nil {
		return 0, err
	}
	var result doctorpb.TransferResult
	if err := readMessage(s, &result); err != nil {
		return 0, err
	}
	return rateOf(result.GetBytes(), time.Duration(result.GetNanos()), nil)
}

func agree(s network.MuxedStream, req *doctorpb.TransferRequest) (granted uint64, err error) {
	if err := delimited.Write(s, req); err != nil {
		return 0, err
	}
	var answer doctorpb.TransferAnswer
	if err := readMessage(s, &answer); err != nil {
		return 0, err
	}
	if answer.GetBytes() == 0 {
		return 0, fmt.Errorf("the link is not measuring now: %s", printable.Line(answer.GetRefused(), maxDetail))
	}
	return min(answer.GetBytes(), transferBytes), nil
}

// rateOf fails when too little came to say anything. It is not a failure that the deadline ended the
// transfer.
func rateOf(bytes uint64, took time.Duration, err error) (float64, error) {
	if bytes == 0 || took <= 0 {
		return 0, errors.Join(errors.New("too few bytes came in time to say how fast it is"), err)
	}
	return float64(bytes) / took.Seconds(), nil
}
