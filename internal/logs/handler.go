package logs

import (
	"context"
	"fmt"
	"log/slog"

	golog "github.com/ipfs/go-log/v2"
)

// handler passes records on to go-log in a form that its encoders can write. A value that they do not know they write as
// the JSON of its fields, which for most errors is {}.
type handler struct{ next slog.Handler }

func newHandler() slog.Handler { return handler{golog.SlogHandler()} }

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(legible(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.next.WithAttrs(legibleAll(attrs))}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.next.WithGroup(name)} }

func legibleAll(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = legible(a)
	}
	return out
}

// legible returns a with its value as text if only its own method can say what it means, and cut to maxValue.
func legible(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(legibleAll(value.Group())...)}
	case slog.KindString:
		return slog.String(a.Key, cut(value.String()))
	case slog.KindAny:
		switch v := value.Any().(type) {
		case error, fmt.Stringer:
			return slog.String(a.Key, cut(fmt.Sprint(v))) // survives a nil inside v
		}
	}
	return slog.Attr{Key: a.Key, Value: value}
}

func cut(text string) string {
	if len(text) <= maxValue {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:maxValue], len(text))
}
