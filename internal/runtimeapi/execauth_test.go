package runtimeapi_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
)

// The test vector comes from a stock SuperExec: its secret, its request, and what it sends.
const (
	vectorSecret    = "topsecret"
	vectorBody      = "0a0e666c77722d736572766572617070"
	vectorUnix      = 1800000000
	vectorNonce     = "00112233445566778899aabbccddeeff"
	vectorBodyHash  = "fb980f48bf60a5d0f08429e91432dabfd066d69a2db28b2efc446cec34ee9ce1"
	vectorSignature = "3adf6d3d02af3728cd084441ac5ce556857b9713f9d6666645d0ddd90ac6ec47"
)

// signed makes the headers of a request that is signed at unix with any nonce.
func signed(secret string, unix int64, nonce, bodyHash string) []string {
	key := mac([]byte(secret), "superexec-auth-v1")
	text := fmt.Sprintf("method=/flwr.proto.Runtime/AcquireTask\nts=%d\nnonce=%s\nbody_sha256=%s", unix, nonce, bodyHash)
	return execHeaders(strconv.FormatInt(unix, 10), nonce, bodyHash, hex.EncodeToString(mac(key, text)))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func execHeaders(ts, nonce, bodyHash, signature string) []string {
	return []string{
		flwr.HeaderSuperExecTimestamp, ts, flwr.HeaderSuperExecNonce, nonce,
		flwr.HeaderSuperExecBodySHA256, bodyHash, flwr.HeaderSuperExecSignature, signature,
	}
}

// atVectorTime sleeps, in virtual time, until age after the vector was signed.
func atVectorTime(t *testing.T, age time.Duration, test func(t *testing.T, client *flwrtest.Client, body []byte)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(vectorUnix, 0).Add(age)))
		body, err := hex.DecodeString(vectorBody)
		if err != nil {
			t.Fatal(err)
		}
		test(t, flwrtest.Serve(t, runtimeapi.NewHandler(newScripted(), runtimeapi.Options{ExecSecret: []byte(vectorSecret)})), body)
	})
}

func TestSuperExecSignatureOfStockFlower(t *testing.T) {
	headers := execHeaders(strconv.Itoa(vectorUnix), vectorNonce, vectorBodyHash, vectorSignature)
	for age, status := range map[time.Duration]int{
		-5 * time.Second: 401, -4999 * time.Millisecond: 200, 0: 200, 304 * time.Second: 200, 305 * time.Second: 401,
	} {
		atVectorTime(t, age, func(t *testing.T, client *flwrtest.Client, body []byte) {
			if got := client.PostBytes(flwr.PathAcquireTask, body, headers...); got.Status != status {
				t.Errorf("at the age of %s: got %d %s, want %d", age, got.Status, got.Body, status)
			}
		})
	}
}

func TestSuperExecSignatureIsGoodOnce(t *testing.T) {
	atVectorTime(t, 0, func(t *testing.T, client *flwrtest.Client, body []byte) {
		headers := execHeaders(strconv.Itoa(vectorUnix), vectorNonce, vectorBodyHash, vectorSignature)
		for i, status := range []int{200, 401, 401} {
			if got := client.PostBytes(flwr.PathAcquireTask, body, headers...); got.Status != status {
				t.Errorf("use %d: got %d %s, want %d", i+1, got.Status, got.Body, status)
			}
		}
	})
}

func TestBadSuperExecSignatures(t *testing.T) {
	good := func() []string { return signed(vectorSecret, vectorUnix, "another nonce", vectorBodyHash) }
	twice := func(name string) []string { return append(good(), name, "x") }
	atVectorTime(t, 0, func(t *testing.T, client *flwrtest.Client, body []byte) {
		for name, headers := range map[string][]string{
			"none":             nil,
			"another secret":   signed("guess", vectorUnix, vectorNonce, vectorBodyHash),
			"another body":     signed(vectorSecret, vectorUnix, vectorNonce, hex.EncodeToString(make([]byte, 32))),
			"no time":          execHeaders("now", vectorNonce, vectorBodyHash, vectorSignature),
			"another time":     execHeaders(strconv.Itoa(vectorUnix-1), vectorNonce, vectorBodyHash, vectorSignature),
			"another nonce":    execHeaders(strconv.Itoa(vectorUnix), "x", vectorBodyHash, vectorSignature),
			"no nonce":         signed(vectorSecret, vectorUnix, "", vectorBodyHash),
			"cut signature":    execHeaders(strconv.Itoa(vectorUnix), vectorNonce, vectorBodyHash, vectorSignature[:62]),
			"not hex":          execHeaders(strconv.Itoa(vectorUnix), vectorNonce, vectorBodyHash, "signed, me"),
			"two times":        twice(flwr.HeaderSuperExecTimestamp),
			"two nonces":       twice(flwr.HeaderSuperExecNonce),
			"two hashes":       twice(flwr.HeaderSuperExecBodySHA256),
			"two signatures":   twice(flwr.HeaderSuperExecSignature),
			"a time too large": execHeaders("99999999999999999999", vectorNonce, vectorBodyHash, vectorSignature),
		} {
			if got := client.PostBytes(flwr.PathAcquireTask, body, headers...); got.Status != 401 || got.Code() != 1008 {
				t.Errorf("%s: got %d %s", name, got.Status, got.Body)
			}
		}
		// None of them used up the nonce of a good request.
		if got := client.PostBytes(flwr.PathAcquireTask, body, good()...); got.Status != 200 {
			t.Errorf("the good request got %d %s", got.Status, got.Body)
		}
	})
}

func TestSignaturesAreForAcquireTaskOnly(t *testing.T) {
	client := flwrtest.Serve(t, runtimeapi.NewHandler(newScripted(), runtimeapi.Options{ExecSecret: []byte(vectorSecret)}))
	if got := client.PostBytes(flwr.PathGetNodes, nil, flwr.HeaderTaskToken, goodToken); got.Status != 200 {
		t.Errorf("an app was asked for a signature: %d %s", got.Status, got.Body)
	}
}
