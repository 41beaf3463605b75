// Verifies a webhook where it is received. One file to copy; Go 1.18 or later, the standard library only.
//
//	event, err := VerifyWebhook(request.Header, body, []string{"whsec_..."}, 300*time.Second, time.Now())
//	if err != nil { ... } // a NotVerified: answer 401; err.Error() says why
//
// Give it the raw bytes of the body, before anything parses them. Keys: the endpoint's secret as it was shown
// (whsec_..., or your own text), or its public keys (whpk_...), one or several during a rotation. Remember the ID that
// it returns: the same message may come more than once.
//
// What runs the published vectors stands at the end (go run verify.go vectors.json). Leave it out of your service.
package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	longestHeader  = 8192
	mostSignatures = 20
	mostKeys       = 20
	shortestSecret = 24
)

var (
	idForm        = regexp.MustCompile(`^[\x21-\x2d\x2f-\x7e]{1,255}$`) // printable, no space, no dot
	typeForm      = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	timestampForm = regexp.MustCompile(`^[0-9]{1,12}$`)
	wanted        = map[string]bool{
		"webhook-id": true, "webhook-timestamp": true, "webhook-signature": true,
		"x-signature-event": true, "x-signature-timestamp": true, "x-signature-signature": true,
	}
)

// NotVerified says why the message is not to be trusted. It holds no secret.
type NotVerified string

func (reason NotVerified) Error() string { return string(reason) }

// Verified is what was proved. ID is the same for every repetition; Scheme is v1, v1a, or seed for X-Signature-Signature.
type Verified struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Timestamp int64  `json:"timestamp"`
	Scheme    string `json:"scheme"`
}

type webhookKeys struct {
	standard, seed [][]byte
	public         []ed25519.PublicKey
}

type webhookCheck struct {
	headers   map[string]string
	body      []byte
	keys      webhookKeys
	tolerance time.Duration
	now       time.Time
	refusals  []string
}

// VerifyWebhook returns what was proved, or a NotVerified. An http.Header fits headers.
func VerifyWebhook(headers map[string][]string, body []byte, keys []string, tolerance time.Duration, now time.Time) (Verified, error) {
	read, err := readHeaders(headers)
	if err != nil {
		return Verified{}, err
	}
	known, err := readKeys(keys)
	if err != nil {
		return Verified{}, err
	}
	check := webhookCheck{headers: read, body: body, keys: known, tolerance: tolerance, now: now}
	found, ok := check.standard()
	if !ok {
		found, ok = check.seed()
	}
	if !ok {
		return Verified{}, NotVerified(strings.Join(check.refusals, "; "))
	}
	return check.readBody(found)
}

func (check *webhookCheck) standard() (Verified, bool) {
	listed, there := check.headers["webhook-signature"]
	if !there {
		return check.refuse("there is no webhook-signature")
	}
	id := check.headers["webhook-id"]
	if !idForm.MatchString(id) {
		return check.refuse("webhook-id is missing or malformed")
	}
	text := check.headers["webhook-timestamp"]
	timestamp, ok := check.readTimestamp(text, "webhook-timestamp")
	if !ok {
		return Verified{}, false
	}
	signed := append([]byte(id+"."+text+"."), check.body...)
	var expected []string
	for _, key := range check.keys.standard {
		expected = append(expected, "v1,"+base64.StdEncoding.EncodeToString(digest(key, signed)))
	}
	for at, value := range strings.Split(listed, " ") {
		if at == mostSignatures {
			break
		}
		if strings.HasPrefix(value, "v1,") && isOneOf(value, expected) {
			return Verified{ID: id, Timestamp: timestamp, Scheme: "v1"}, true
		}
		if strings.HasPrefix(value, "v1a,") && isSigned(value[4:], signed, check.keys.public) {
			return Verified{ID: id, Timestamp: timestamp, Scheme: "v1a"}, true
		}
	}
	return check.refuse("no signature of webhook-signature was made with one of the keys")
}

// seed checks the header that signs no id: the body's is taken.
func (check *webhookCheck) seed() (Verified, bool) {
	value, there := check.headers["x-signature-signature"]
	if !there {
		return check.refuse("there is no X-Signature-Signature")
	}
	text := check.headers["x-signature-timestamp"]
	timestamp, ok := check.readTimestamp(text, "X-Signature-Timestamp")
	if !ok {
		return Verified{}, false
	}
	signed := append([]byte(text+"."), check.body...)
	var expected []string
	for _, key := range check.keys.seed {
		expected = append(expected, "sha256="+hex.EncodeToString(digest(key, signed)))
	}
	if !isOneOf(value, expected) {
		return check.refuse("X-Signature-Signature was not made with one of the secrets")
	}
	return Verified{Timestamp: timestamp, Scheme: "seed"}, true
}

func (check *webhookCheck) refuse(reason string) (Verified, bool) {
	check.refusals = append(check.refusals, reason)
	return Verified{}, false
}

func (check *webhookCheck) readTimestamp(text, name string) (int64, bool) {
	if !timestampForm.MatchString(text) {
		check.refuse(name + " is missing or malformed")
		return 0, false
	}
	timestamp, _ := strconv.ParseInt(text, 10, 64)
	sent := time.Unix(timestamp, 0)
	if sent.Before(check.now.Add(-check.tolerance)) || sent.After(check.now.Add(check.tolerance)) {
		check.refuse(name + " is too old or too new")
		return 0, false
	}
	return timestamp, true
}

func (check *webhookCheck) readBody(found Verified) (Verified, error) {
	// A map and no struct: the names of a struct's fields would be matched without regard to case.
	var event map[string]json.RawMessage
	if !utf8.Valid(check.body) || json.Unmarshal(check.body, &event) != nil || event == nil {
		return Verified{}, NotVerified("the body is signed, but it is no JSON object")
	}
	type_, _ := readText(event["type"])
	if !typeForm.MatchString(type_) {
		return Verified{}, NotVerified("the body is signed, but it has no type")
	}
	if hint, there := check.headers["x-signature-event"]; there && hint != type_ {
		return Verified{}, NotVerified("X-Signature-Event is not the type of the signed body")
	}
	inside, there := readText(event["id"])
	if raw := event["id"]; raw != nil && string(raw) != "null" && !(there && idForm.MatchString(inside)) {
		return Verified{}, NotVerified("the body's id is malformed")
	}
	if outside := check.headers["webhook-id"]; inside != "" && outside != "" && inside != outside {
		return Verified{}, NotVerified("webhook-id is not the id of the signed body")
	}
	if found.ID == "" {
		found.ID = inside
	}
	if found.ID == "" {
		return Verified{}, NotVerified("the body is signed, but it has no id")
	}
	found.Type = type_
	return found, nil
}

func readText(raw json.RawMessage) (string, bool) {
	var text *string
	if raw == nil || json.Unmarshal(raw, &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}

func digest(key, signed []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(signed)
	return mac.Sum(nil)
}

// isOneOf makes every comparison, whatever the first one says.
func isOneOf(value string, expected []string) bool {
	found := false
	for _, one := range expected {
		if hmac.Equal([]byte(value), []byte(one)) {
			found = true
		}
	}
	return found
}

func isSigned(value string, signed []byte, keys []ed25519.PublicKey) bool {
	signature := decodeBase64(value)
	for _, key := range keys {
		if len(signature) == ed25519.SignatureSize && ed25519.Verify(key, signed, signature) {
			return true
		}
	}
	return false
}

func readHeaders(headers map[string][]string) (map[string]string, error) {
	read := map[string]string{}
	for name, values := range headers {
		key := strings.ToLower(name)
		if !wanted[key] {
			continue
		}
		for _, value := range values {
			if len(value) > longestHeader || !isASCII(value) {
				return nil, NotVerified(key + " is malformed")
			}
			clean := strings.Trim(value, " \t")
			if before, there := read[key]; there && before != clean {
				return nil, NotVerified(key + " is there twice")
			}
			read[key] = clean
		}
	}
	return read, nil
}

// readKeys takes a key that cannot be read for an error: whoever mistyped it would wait for it in vain.
func readKeys(given []string) (webhookKeys, error) {
	keys := webhookKeys{}
	if len(given) < 1 || len(given) > mostKeys {
		return keys, NotVerified(fmt.Sprintf("there must be 1 to %d keys", mostKeys))
	}
	for at, key := range given {
		place := fmt.Sprintf("key %d", at+1)
		switch {
		case !isASCII(key):
			return keys, NotVerified(place + " is not a text of ASCII")
		case strings.HasPrefix(key, "whsk_"):
			return keys, NotVerified(place + " is a private key, which no receiver should have")
		case strings.HasPrefix(key, "whpk_"):
			decoded := decodeBase64(key[5:])
			if len(decoded) != ed25519.PublicKeySize {
				return keys, NotVerified(place + " is not whpk_ and the base64 of 32 bytes")
			}
			keys.public = append(keys.public, decoded)
		case strings.HasPrefix(key, "whsec_"):
			decoded := decodeBase64(key[6:])
			if len(decoded) < shortestSecret {
				return keys, NotVerified(fmt.Sprintf("%s is not whsec_ and the base64 of %d bytes or more", place, shortestSecret))
			}
			keys.standard, keys.seed = append(keys.standard, decoded), append(keys.seed, []byte(key))
		case len(key) < shortestSecret:
			return keys, NotVerified(fmt.Sprintf("%s has less than %d characters", place, shortestSecret))
		default:
			keys.standard, keys.seed = append(keys.standard, []byte(key)), append(keys.seed, []byte(key))
		}
	}
	return keys, nil
}

// decodeBase64 takes the one canonical form, and returns nothing for any other.
func decodeBase64(text string) []byte {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(decoded) != text {
		return nil
	}
	return decoded
}

func isASCII(text string) bool {
	for at := 0; at < len(text); at++ {
		if text[at] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func main() {
	content, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var file struct {
		Cases []struct {
			Name       string            `json:"name"`
			Headers    map[string]string `json:"headers"`
			BodyBase64 []byte            `json:"body_base64"`
			Keys       []string          `json:"keys"`
			ToleranceS int64             `json:"tolerance_s"`
			Now        int64             `json:"now"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		panic(err)
	}
	for _, one := range file.Cases {
		headers := map[string][]string{}
		for name, value := range one.Headers {
			headers[name] = []string{value}
		}
		tolerance := time.Duration(one.ToleranceS) * time.Second
		found, err := VerifyWebhook(headers, one.BodyBase64, one.Keys, tolerance, time.Unix(one.Now, 0))
		verdict := struct {
			Name   string `json:"name"`
			OK     bool   `json:"ok"`
			Reason string `json:"reason,omitempty"`
			Verified
		}{Name: one.Name, OK: err == nil, Verified: found}
		if err != nil {
			verdict.Reason = err.Error()
		}
		line, _ := json.Marshal(verdict)
		fmt.Println(string(line))
	}
}
