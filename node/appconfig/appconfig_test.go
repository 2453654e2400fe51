package appconfig

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rhizome-fl/rhizome/protocol/fab"
	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

func boolean(v bool) *flwrpb.Scalar { return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Bool{Bool: v}} }
func integer(v int64) *flwrpb.Scalar {
	return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Sint64{Sint64: v}}
}
func double(v float64) *flwrpb.Scalar {
	return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Double{Double: v}}
}
func text(v string) *flwrpb.Scalar {
	return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_String_{String_: v}}
}

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "site.toml")
	if err := os.WriteFile(file, []byte("partition-id = 3\n[data]\npath = '/srv'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		in   string
		want Config
	}{
		{"", Config{}},
		{"partition-id=0 num-partitions=2", Config{"partition-id": integer(0), "num-partitions": integer(2)}},
		{`name="a b" on=true x=1.5`, Config{"name": text("a b"), "on": boolean(true), "x": double(1.5)}},
		{`name='single quoted'`, Config{"name": text("single quoted")}},
		{`a.b=1 a.c=2`, Config{"a.b": integer(1), "a.c": integer(2)}},
		{`path="/srv/x.toml"`, Config{"path": text("/srv/x.toml")}},
		{file, Config{"partition-id": integer(3), "data.path": text("/srv")}},
	} {
		got, err := Parse(tc.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tc.in, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tc.in, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{"lonely", "a=1 lonely", "a=bare", "a=1 a=2", "a=[1,2]", "a=2020-01-01", "no-such-file.toml"} {
		if got, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", in, got)
		}
	}
}

func TestDefaults(t *testing.T) {
	bundle := fabtest.App(t, `
[tool.flwr.app.config]
rounds = 3
lr = 0.1
[tool.flwr.app.config.model]
name = "cnn"
`)
	got, err := Defaults(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{"rounds": integer(3), "lr": double(0.1), "model.name": text("cnn")}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}

	fused := Fuse(got, Config{"lr": double(0.5)})
	if fused["lr"].GetDouble() != 0.5 || fused["rounds"].GetSint64() != 3 {
		t.Errorf("fused = %v", fused)
	}
	if got["lr"].GetDouble() != 0.1 {
		t.Error("Fuse changed the defaults")
	}
}

func TestDefaultsBlamesTheBundle(t *testing.T) {
	bundle := fabtest.Zip(t, "a.py", "")
	if _, err := Defaults(bytes.NewReader(bundle), int64(len(bundle))); !errors.Is(err, fab.ErrInvalid) {
		t.Errorf("error = %v, want fab.ErrInvalid", err)
	}
}
