package exec

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// contentJSON is the content type of bodies on our own routes.
const contentJSON = "application/json"

// client speaks to one Runtime API. Its methods may be called concurrently.
type client struct {
	base   string
	http   *http.Client
	signer *signer // nil without a secret
}

func newClient(cfg Config) (*client, error) {
	transport := &http.Transport{
		MaxIdleConnsPerHost: maxIdleConns,
		IdleConnTimeout:     idleConnLimit,
		TLSHandshakeTimeout: callLimit,
	}
	c := &client{base: "http://" + cfg.RuntimeAddress, http: &http.Client{Transport: transport}}
	if cfg.TLS {
		c.base = "https://" + cfg.RuntimeAddress
	}
	if cfg.RootCertificates != "" {
		pem, err := os.ReadFile(cfg.RootCertificates)
		if err != nil {
			return nil, fmt.Errorf("root certificates of the Runtime API: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("root certificates of the Runtime API: %s holds no certificate", cfg.RootCertificates)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	if len(cfg.Secret) > 0 {
		c.signer = newSigner(cfg.Secret)
	}
	return c, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// acquire asks for a task. The host may hold the request; a nil task means that there is
// none for now.
func (c *client) acquire(ctx context.Context, types []string) (*flwrpb.Task, string, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&flwrpb.AcquireTaskRequest{SupportedTaskTypes: types})
	if err != nil {
		return nil, "", err
	}
	header := http.Header{}
	if c.signer != nil {
		c.signer.sign(header, body, time.Now())
	}
	answer, err := c.held(ctx, flwr.PathAcquireTask, header, flwr.TypeProtobuf, body)
	if err != nil {
		return nil, "", err
	}
	var resp flwrpb.AcquireTaskResponse
	if err := proto.Unmarshal(answer, &resp); err != nil {
		return nil, "", fmt.Errorf("answer to %s: %w", flwr.PathAcquireTask, err)
	}
	if resp.GetTask() == nil || resp.GetToken() == "" {
		return nil, "", nil
	}
	return resp.GetTask(), resp.GetToken(), nil
}

// awaitEnd returns nil once somebody other than the app has ended the task.
func (c *client) awaitEnd(ctx context.Context, token string) error {
	_, err := c.held(ctx, task.PathAwaitTaskEnd, tokenHeader(token), contentJSON, nil)
	return ownRoute(err)
}

// reportExit tells the host how the process of the task ended.
func (c *client) reportExit(ctx context.Context, token string, exit task.Exit) error {
	body, err := json.Marshal(exit)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	_, err = c.call(ctx, task.PathReportExit, tokenHeader(token), contentJSON, body)
	return ownRoute(err)
}

// pushLogs sends lines, each with its newline.
func (c *client) pushLogs(ctx context.Context, token string, runID uint64, lines []string) error {
	body, err := proto.Marshal(&flwrpb.PushLogsRequest{Node: &flwrpb.Node{}, RunId: runID, Logs: lines})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	_, err = c.call(ctx, flwr.PathPushLogs, tokenHeader(token), flwr.TypeProtobuf, body)
	return ownRoute(err)
}

// held makes a call that may take any length of time, as long as the host shows signs of life.
func (c *client) held(ctx context.Context, path string, header http.Header, contentType string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(quietLimit, func() { cancel(errQuiet) })
	defer quiet.Stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			quiet.Reset(quietLimit)
			return nil
		},
	})
	answer, err := c.call(ctx, path, header, contentType, body)
	if err != nil && errors.Is(context.Cause(ctx), errQuiet) {
		return nil, fmt.Errorf("%s: %w", path, errQuiet)
	}
	return answer, err
}

func (c *client) call(ctx context.Context, path string, header http.Header, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", contentType)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err // says method, address and cause
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("answer to %s: %w", path, err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("answer to %s is over %d bytes", path, maxAnswer)
	}
	if resp.StatusCode/100 != 2 {
		return nil, &statusError{path: path, status: resp.StatusCode, text: errorText(answer)}
	}
	return answer, nil
}

func tokenHeader(token string) http.Header {
	header := http.Header{}
	header.Set(flwr.HeaderTaskToken, token)
	return header
}
