package dispatcher

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
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
}

// readResponse reads the final response to a request of the given method, and
// no more of its body than maxBody octets and one. An answer whose header is
// complete is an answer, however its body ends.
func readResponse(from io.Reader, method string, maxBody int) (response, error) {
	r := bufio.NewReader(from)
	for range maxInterim + 1 {
		head, err := readHead(r)
		if err != nil {
			return response{}, err
		}
		request := &http.Request{Method: method}
		parsed, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), request)
		switch {
		case err != nil:
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("reading response: %w", err)}
		case parsed.ProtoMajor != 1:
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("response has the version %q", parsed.Proto)}
		case parsed.StatusCode < 100 || parsed.StatusCode > 599 || parsed.StatusCode == http.StatusSwitchingProtocols:
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("response has the status %03d", parsed.StatusCode)}
		case parsed.StatusCode < 200:
			continue
		}
		// Once more, with the body behind the header.
		parsed, err = http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), r)), request)
		if err != nil {
			return response{}, &fault{ReasonBadResponse, fmt.Errorf("reading response: %w", err)}
		}
		// The body is not closed, for that reads it to its end; the
		// connection is.
		body, bodyErr := io.ReadAll(io.LimitReader(parsed.Body, int64(maxBody)+1))
		kept := body[:min(len(body), maxBody)]
		return response{
			status:    parsed.StatusCode,
			proto:     parsed.Proto,
			header:    fieldsOf(head),
			body:      kept,
			truncated: len(kept) < len(body) || bodyErr != nil,
			bodyErr:   bodyErr,
		}, nil
	}
	return response{}, &fault{ReasonBadResponse, fmt.Errorf("more than %d interim responses", maxInterim)}
}

// readHead reads up to and including the empty line after a header.
func readHead(r *bufio.Reader) ([]byte, error) {
	var head []byte
	for line := 0; ; {
		part, err := r.ReadSlice('\n')
		head = append(head, part...)
		if len(head) > maxHead {
			return nil, &fault{ReasonBadResponse, fmt.Errorf("header of the response is longer than %d octets", maxHead)}
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading response: %w", err)
		}
		if rest := string(head[line:]); rest == "\n" || rest == "\r\n" {
			return head, nil
		}
		line = len(head)
	}
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
