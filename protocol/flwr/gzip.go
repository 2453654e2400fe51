package flwr

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// worthCompressing tells whether fewer bytes would arrive sooner: not on the same machine.
func worthCompressing(r *http.Request, size int) bool {
	if size < minCompress || !acceptsGzip(r.Header.Values("Accept-Encoding")) {
		return false
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return true // through the overlay
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// acceptsGzip reads Accept-Encoding headers.
func acceptsGzip(headers []string) bool {
	for _, header := range headers {
		for coding := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(coding, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
				continue
			}
			key, weight, _ := strings.Cut(strings.TrimSpace(params), "=")
			if q, err := strconv.ParseFloat(weight, 64); strings.EqualFold(key, "q") && err == nil && q == 0 {
				continue
			}
			return true
		}
	}
	return false
}

// compress favours speed over size: what is large here is ids, half of which any compressor
// finds redundant, and bundles, which are text.
func compress(data []byte) ([]byte, error) {
	var out bytes.Buffer
	writer, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if _, err := writer.Write(data); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return out.Bytes(), nil
}
