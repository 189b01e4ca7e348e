package dispatcher

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What Gmail sends with the request of an action (gmail-actions.md section 2).
const (
	// UserAgent is said to be the same for every action request, and services
	// compare all of it.
	UserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/1.0 (KHTML, like Gecko; Gmail Actions)"
	// ContentType is that of an action's and of an unsubscription's body.
	ContentType = "application/x-www-form-urlencoded"
)

// DefaultTimeout is the time limit of a request that states none.
const DefaultTimeout = 30 * time.Second

// maxRequestBody bounds the body of a request, in octets. Those of actions are
// a few dozen.
const maxRequestBody = 64 << 10

// Field is one field of a header.
type Field struct{ Name, Value string }

// Request is what is to be requested. Submitting it copies it.
type Request struct {
	// ID names the request; empty has the dispatcher choose one.
	ID string
	// Queue holds requests that must not overtake one another: one does not
	// begin before the earlier ones of the same queue have ended, retries
	// included. Empty is no queue. An action is a good name for one.
	Queue string

	Method string
	// URL is absolute, with scheme https. Its path and query are sent as they
	// are written, octet for octet; what cannot be sent so is withheld.
	URL string
	// Header is sent in this order after Host and Authorization. The fields
	// that the dispatcher writes itself, and those that would change where the
	// request ends, must not be in it.
	Header []Field
	Body   []byte // At most 64 KiB.
	// Token, unless nil, is called once for each attempt and makes the bearer
	// token of its Authorization field, so that a retry hours later carries a
	// fresh one. What Gmail does is unknown (gmail-actions.md section 4).
	Token func(context.Context) (string, error)

	// Succeeds says whether an answer with a status is success; nil is the rule
	// for actions, that only 200 is (gmail-actions.md section 4).
	Succeeds func(status int) bool

	// Redirects is how many redirects are followed in one attempt; by default
	// none is, and a redirect is an answer like others. See [Hop].
	Redirects int
	// Source is the address of this machine that the request comes from; zero
	// leaves the choice to the machine. It does not matter within the process.
	Source netip.Addr

	// HTTP2 offers HTTP/2 to the service, which chooses (RFC 9113 3.2); HTTP/1.1
	// is offered, too, and alone by default. Which the real provider speaks is
	// not known (gmail-actions.md 2 item 9). Connections by HTTP/2 are not kept.
	HTTP2 bool
	// KeepAlive has the request use a connection that an earlier one has left, to
	// the same checked address and the same host, and leave its own to a later
	// one; whether the real provider does so is not known. It goes without the
	// field Connection. It does nothing within the process or with HTTP2. See
	// [Dispatcher.Close].
	KeepAlive bool

	// Timeout limits one attempt as a whole, from name resolution to the last
	// octet read, redirects included, in real time; zero is DefaultTimeout.
	Timeout time.Duration
	// Retry replaces that of the dispatcher's options, unless nil.
	Retry *Retry
}

func (r *Request) succeeds(status int) bool {
	if r.Succeeds == nil {
		return status == 200
	}
	return r.Succeeds(status)
}

// message is what is sent to one URL of a request, which a redirect may change.
type message struct {
	method string
	header []Field
	body   []byte
	bearer bool // With token.
	token  string
	keep   bool // The connection may be used again.
}

func (r *Request) message(token string) *message {
	return &message{r.Method, r.Header, r.Body, r.Token != nil, token, r.KeepAlive}
}

// wire returns the message as it is sent. Order and names of the first fields
// are Gmail's (gmail-actions.md section 2). Content-Length and Connection are
// in no documentation; HTTP/1.1 needs the first to end a body (RFC 9112 6.3),
// and the second tells the server what happens anyway (RFC 9112 9.6), unless
// the connection is kept.
func (m *message) wire(t target) ([]byte, error) {
	fields, err := m.fields(t)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", m.method, t.path)
	if !m.keep {
		fields = append(fields, Field{"Connection", "close"})
	}
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	return b.Bytes(), nil
}

// fields returns the header of a message to a target, Host first. The error is
// a fault: what cannot be sent as it is written is not sent.
func (m *message) fields(t target) ([]Field, error) {
	if !isToken(m.method) {
		return nil, &fault{ReasonBadRequest, fmt.Errorf("method %q is not a token", m.method)}
	}
	if len(m.body) > maxRequestBody {
		return nil, &fault{ReasonBadRequest, fmt.Errorf("body of %d octets is longer than %d", len(m.body), maxRequestBody)}
	}
	fields := append(make([]Field, 0, len(m.header)+4), Field{"Host", t.authority})
	if m.bearer {
		fields = append(fields, Field{"Authorization", "Bearer " + m.token})
	}
	for _, f := range m.header {
		name := strings.ToLower(f.Name)
		if slices.Contains(ownFields, name) || name == "authorization" && m.bearer {
			return nil, &fault{ReasonBadRequest, fmt.Errorf("field %s is not the request's to set", f.Name)}
		}
		fields = append(fields, f)
	}
	for _, f := range fields {
		if !isToken(f.Name) || !isFieldValue(f.Value) {
			return nil, &fault{ReasonBadRequest, fmt.Errorf("field %q cannot be sent as it is", f.Name)}
		}
	}
	// RFC 9110 8.6: a method that gives a body a meaning states its length
	// even when there is none.
	if len(m.body) > 0 || m.method != "GET" && m.method != "HEAD" {
		fields = append(fields, Field{"Content-Length", strconv.Itoa(len(m.body))})
	}
	return fields, nil
}

// ownFields are those that the dispatcher writes, and those that would change
// the framing or the protocol.
var ownFields = []string{"host", "content-length", "connection", "transfer-encoding", "expect", "upgrade"}

// isToken tells whether s is a token (RFC 9110 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isFieldValue tells whether s can be the value of a field and stay what it is
// (RFC 9110 5.5): visible ASCII, with spaces and tabs inside.
func isFieldValue(s string) bool {
	for _, c := range []byte(s) {
		if c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return strings.Trim(s, " \t") == s
}
