package link

import (
	"strings"
	"testing"
	"time"
)

func TestConfigIsRefusedWithReasons(t *testing.T) {
	good := func() Config { return Config{DataDir: "x"}.withDefaults() }
	if err := good().validate(); err != nil {
		t.Fatalf("the defaults were refused: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"no data":        {func(c *Config) { c.DataDir = "" }, "data directory"},
		"half of TLS":    {func(c *Config) { c.CertFile = "cert.pem" }, "certificate and its key"},
		"open network":   {func(c *Config) { c.HTTP = "0.0.0.0:8000" }, "--insecure"},
		"all interfaces": {func(c *Config) { c.HTTP = ":8000" }, "--insecure"},
		"no token":       {func(c *Config) { c.HTTP, c.CertFile, c.KeyFile = "0.0.0.0:8000", "c", "k" }, "--control-token-file"},
		"short token":    {func(c *Config) { c.ControlToken = []byte("secret") }, "6 bytes"},
		"any stock node": {func(c *Config) {
			c.HTTP, c.CertFile, c.KeyFile, c.ControlToken, c.FleetHTTP = "0.0.0.0:8000", "c", "k", make([]byte, 32), true
		}, "--enable-supernode-auth"},
		"no port":            {func(c *Config) { c.HTTP = "127.0.0.1" }, "host:port"},
		"hasty heartbeat":    {func(c *Config) { c.Heartbeat = time.Millisecond }, "heartbeat"},
		"impatient with all": {func(c *Config) { c.Grace = time.Second }, "grace"},
	} {
		cfg := good()
		c.change(&cfg)
		if err := cfg.validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one about %q", name, err, c.says)
		}
	}
	for _, address := range []string{"localhost:8000", "[::1]:8000", "127.0.0.1:0"} {
		cfg := good()
		cfg.HTTP = address
		if err := cfg.validate(); err != nil {
			t.Errorf("%s was refused: %v", address, err)
		}
	}
	cfg := good()
	cfg.HTTP, cfg.CertFile, cfg.KeyFile, cfg.ControlToken = "0.0.0.0:8000", "c", "k", make([]byte, 32)
	if err := cfg.validate(); err != nil {
		t.Errorf("TLS with a token was refused: %v", err)
	}
	cfg = good()
	cfg.HTTP, cfg.Insecure = "0.0.0.0:8000", true
	if err := cfg.validate(); err != nil {
		t.Errorf("--insecure was refused: %v", err)
	}
}
