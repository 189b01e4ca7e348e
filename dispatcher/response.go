package dispatcher

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	// DefaultMaxBody is how many octets of a response's body are kept.
	DefaultMaxBody = 64 << 10
	// maxHead bounds the header of a response, status line included. Servers
	// and clients draw the line between 8 and 256 KiB.
	maxHead = 64 << 10
	// maxInterim bounds the 1xx responses before the real one (RFC 9110 15.2
	// allows any number); nobody sends more than two.
	maxInterim = 8
)

// response is what was read of an answer.
type response struct {
	status    int
	proto     string
	header    []Field // In the order received.
	body      []byte
	truncated bool
	bodyErr   error // Why the body broke off.
	more      bool  // Another request can be sent on the connection.
}

// readResponse reads the final response to a request of the given method, and
// no more of its body than maxBody octets and one. An answer whose header is
// complete is an answer, however its body ends. r has room for maxHead octets.
func readResponse(r *bufio.Reader, method string, maxBody int, p *progress) (response, error) {
	for range maxInterim + 1 {
		head, err := peekHead(r, p)
		if err != nil {
			return response{}, err
		}
		fields := fieldsOf(head) // Before head's place in r is used again.
		parsed, err := http.ReadResponse(r, &http.Request{Method: method})
		switch {
		case err != nil:
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("the answer of %s is not HTTP: %w", p.place(), err)}
		case parsed.ProtoMajor != 1:
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("the answer of %s has the version %q", p.place(), parsed.Proto)}
		case parsed.StatusCode == http.StatusSwitchingProtocols:
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("%s switches to another protocol, which was not asked for", p.place())}
		case parsed.StatusCode < 100 || parsed.StatusCode > 599:
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("the answer of %s has the status %03d", p.place(), parsed.StatusCode)}
		case parsed.StatusCode < 200:
			// The answer that counts has not begun.
			p.stage, p.head, p.interim = stageWait, 0, parsed.StatusCode
			continue
		}
		p.stage = stageBody
		// The body is not closed, for that reads it to its end; the
		// connection is.
		body, bodyErr := io.ReadAll(io.LimitReader(parsed.Body, int64(maxBody)+1))
		kept := body[:min(len(body), maxBody)]
		truncated := len(kept) < len(body) || bodyErr != nil
		return response{
			status:    parsed.StatusCode,
			proto:     parsed.Proto,
			header:    fields,
			body:      kept,
			truncated: truncated,
			bodyErr:   bodyErr,
			more:      !truncated && !parsed.Close && r.Buffered() == 0 && !ambiguous(parsed.StatusCode, fields),
		}, nil
	}
	return response{}, &fault{ReasonBadResponse, fmt.Errorf("%s sent more than %d interim (1xx) answers, and none that ends the request", p.place(), maxInterim)}
}

// ambiguous tells whether the header of an answer leaves room for doubt about where
// it ends (RFC 9112 6.3): it states that in two ways, or though there is no body.
func ambiguous(status int, header []Field) bool {
	coded := slices.ContainsFunc(header, func(f Field) bool { return strings.EqualFold(f.Name, "Transfer-Encoding") })
	length := slices.ContainsFunc(header, func(f Field) bool { return strings.EqualFold(f.Name, "Content-Length") })
	if status == http.StatusNoContent || status == http.StatusNotModified {
		return coded || length
	}
	return coded && length
}

// peekHead waits for a header, up to and including the empty line after it, and
// returns it without taking it from r.
func peekHead(r *bufio.Reader, p *progress) ([]byte, error) {
	for line, seen := 0, 0; ; {
		if _, err := r.Peek(seen + 1); err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				return nil, &fault{ReasonBadResponse, fmt.Errorf("the answer's header from %s is longer than %d octets", p.place(), r.Size())}
			}
			return nil, err
		}
		p.stage = stageHeader
		head, _ := r.Peek(r.Buffered()) // It is there.
		p.head = len(head)
		if f := p.notHTTP(head); f != nil {
			return nil, f
		}
		for ; seen < len(head); seen++ {
			if head[seen] != '\n' {
				continue
			}
			if rest := string(head[line : seen+1]); rest == "\n" || rest == "\r\n" {
				return head[:seen+1], nil
			}
			line = seen + 1
		}
	}
}

// notHTTP says what the first octets of an answer are, if they cannot be those
// of an answer: what is no HTTP may have no line that could be waited for.
func (p *progress) notHTTP(head []byte) *fault {
	const begin, frame = "HTTP/", 9
	if bytes.HasPrefix(head, []byte(begin)[:min(len(begin), len(head))]) {
		return nil
	}
	// The first frame of a server is SETTINGS, of stream 0 (RFC 9113 3.4).
	if head[0] == 0 && (len(head) < frame || head[3] == 4 && bytes.Equal(head[5:frame], make([]byte, 4))) {
		if len(head) < frame {
			return nil
		}
		return &fault{ReasonBadResponse, fmt.Errorf("%s speaks HTTP/2, though HTTP/1.1 was agreed", p.place())}
	}
	const shown = 40
	return &fault{ReasonBadResponse, fmt.Errorf("the answer of %s is not HTTP: it begins with %q", p.place(), head[:min(shown, len(head))])}
}

// fieldsOf returns the fields of a header that has been parsed well, in order.
// A folded line belongs to the field before it (RFC 9112 5.2).
func fieldsOf(head []byte) []Field {
	_, lines, _ := strings.Cut(string(head), "\n")
	var fields []Field
	for line := range strings.Lines(lines) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if last := len(fields) - 1; last >= 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[last].Value = strings.TrimSpace(fields[last].Value + " " + strings.TrimSpace(line))
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, Field{name, strings.TrimSpace(value)})
	}
	return fields
}
