package dispatcher

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// alpnHTTP2 is how HTTP/2 is named in TLS (RFC 9113 3.2).
	alpnHTTP2 = "h2"
	// theStream is the one stream of a connection (RFC 9113 5.1.1).
	theStream = 1
	// maxFrame is the largest frame (RFC 9113 6.5.2), until a peer permits more.
	maxFrame = 16 << 10
	// maxControl bounds the frames that bring the answer no further: settings,
	// pings, windows, interim answers, empty data.
	maxControl = 256
	// firstWindow is what may be sent before the other side says anything (RFC
	// 9113 6.9.2).
	firstWindow = 65535
)

// stream is an exchange by HTTP/2: one request on a connection of its own. There
// is no more to it than that, so that it can be read frame by frame.
type stream struct {
	conn   net.Conn
	p      *progress
	a      *Attempt
	out    bytes.Buffer // Frames to be written.
	wrote  <-chan wrote // Of those that are being written; nil if none are.
	taken  int          // Octets of frames that were written.
	framer *http2.Framer
	limit  int // Of the body.

	head        string // The request's, as it is recorded.
	body        []byte
	written     int   // Octets of body.
	window      int64 // What may be sent on the stream,
	all         int64 // and on the connection.
	peerInitial int64
	control     int
	interim     int
	begun       bool // The peer's first frame has come.
	goAway      *http2.GoAwayFrame
	malformed   error // What makes an answer none that had begun well.
	done        bool
}

// wrote is how writing ended.
type wrote struct {
	octets int
	err    error
}

// talkHTTP2 sends a message on a connection and reads the answer, with r.
func (d *Dispatcher) talkHTTP2(ctx context.Context, conn net.Conn, r *bufio.Reader, x *exchange, p *progress, a *Attempt) error {
	s := &stream{
		conn: conn, p: p, a: a, limit: d.opts.MaxBody, body: x.message.body,
		window: firstWindow, all: firstWindow, peerInitial: firstWindow,
	}
	s.framer = http2.NewFramer(&s.out, &continuations{from: r, s: s})
	s.framer.SetMaxReadFrameSize(maxFrame)
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.framer.MaxHeaderListSize = maxHead
	err := s.request(x)
	for err == nil && !s.done {
		err = s.next()
	}
	_ = conn.SetWriteDeadline(time.Unix(1, 0)) // Nobody waits for the rest to be read.
	wroteErr := s.flushed()
	if s.taken == 0 || wroteErr != nil && p.stage == stageWait && s.control == 0 {
		p.sent, a.Sent = 0, nil // Nothing was taken, or not all of it, and nothing has come.
		if p.stage == stageWait {
			p.stage = stageSend
		}
	}
	switch {
	case s.malformed != nil:
		return s.malformed
	case err != nil && s.a.Status != 0:
		a.bodyErr, a.BodyTruncated = err, true // It is an answer, however it ends.
	case err != nil && s.goAway != nil && broken(err):
		return &fault{ReasonHTTP2GoAway, fmt.Errorf("%s ended the connection (GOAWAY, %s), and had not answered the request that it had accepted; it may have carried it out", p.place(), s.goAway.ErrCode)}
	case err != nil:
		return p.trouble(ctx, err)
	}
	if err := p.premature(a); err != nil {
		return err
	}
	if announced, known := announcedLength(a.Header); known && !a.BodyTruncated && announced != uint64(len(a.Body)) && x.method != "HEAD" && a.Status != 304 {
		return fmt.Errorf("the answer counts, but its body has %d octets, and its header announces %d", len(a.Body), announced)
	}
	return p.remark(ctx, a)
}

// request writes the request, and as much of its body as may be sent unasked.
func (s *stream) request(x *exchange) error {
	fields, err := x.message.fields(x.target)
	if err != nil {
		return err
	}
	s.head = fmt.Sprintf("%s %s HTTP/2.0\r\n", x.message.method, x.target.path)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	write := func(name, value string, secret bool) {
		// A buffer takes everything.
		_ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: secret})
	}
	write(":method", x.message.method, false)
	write(":scheme", "https", false)
	write(":authority", x.target.authority, false)
	write(":path", x.target.path, false)
	for _, f := range fields {
		name := strings.ToLower(f.Name) // RFC 9113 8.2.
		s.head += f.Name + ": " + f.Value + "\r\n"
		if name != "host" { // It is in :authority.
			write(name, f.Value, name == "authorization")
		}
	}
	s.head += "\r\n"
	s.p.whole = len(s.head) + len(s.body)

	s.out.WriteString(http2.ClientPreface)
	window := uint32(min(s.limit+1, math.MaxInt32)) // What is read of a body; the peer cannot send more.
	err = s.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHead},
	)
	if err == nil && window > firstWindow {
		err = s.framer.WriteWindowUpdate(0, window-firstWindow)
	}
	first := true
	for rest := block.Bytes(); err == nil && (first || len(rest) > 0); first = false {
		part := rest[:min(len(rest), maxFrame)]
		rest = rest[len(part):]
		if first {
			err = s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: theStream, BlockFragment: part, EndHeaders: len(rest) == 0, EndStream: len(s.body) == 0})
		} else {
			err = s.framer.WriteContinuation(theStream, len(rest) == 0, part)
		}
	}
	if err != nil {
		return err
	}
	s.p.stage = stageSend
	return s.send(s.head)
}

// flush has the frames that are waiting written, when those before are, while the
// answer is read: a service may say in TLS that it wants no request, and read
// none of it.
func (s *stream) flush() error {
	if err := s.flushed(); err != nil {
		return err
	}
	frames := bytes.Clone(s.out.Bytes())
	s.out.Reset()
	done := make(chan wrote, 1)
	s.wrote = done
	go func() {
		n, err := s.conn.Write(frames)
		done <- wrote{n, err}
	}()
	return nil
}

// flushed waits until what was handed over is written.
func (s *stream) flushed() error {
	if s.wrote == nil {
		return nil
	}
	w := <-s.wrote
	s.wrote = nil
	s.taken += w.octets
	return w.err
}

// send writes the frames that are waiting, with what the windows permit of the
// rest of the body, and records it after what is recorded as head.
func (s *stream) send(head string) error {
	from := s.written
	for s.written < len(s.body) && min(s.window, s.all) > 0 {
		n := int(min(s.window, s.all, maxFrame, int64(len(s.body)-s.written)))
		if err := s.framer.WriteData(theStream, s.written+n == len(s.body), s.body[s.written:s.written+n]); err != nil {
			return err
		}
		s.written += n
		s.window, s.all = s.window-int64(n), s.all-int64(n)
	}
	if s.out.Len() > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.a.Sent = append(append(s.a.Sent, head...), s.body[from:s.written]...)
	s.p.sent = len(s.a.Sent)
	if s.written == len(s.body) && s.p.stage == stageSend {
		s.p.stage = stageWait
	}
	return nil
}

// next reads a frame and does what it asks for.
func (s *stream) next() error {
	frame, err := s.framer.ReadFrame()
	if err != nil {
		return s.unreadable(err)
	}
	if _, ok := frame.(*http2.SettingsFrame); !s.begun && !ok {
		return s.bad("begins with a frame %s and not with SETTINGS", frame.Header().Type)
	}
	s.begun = true
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		return s.header(f)
	case *http2.DataFrame:
		return s.data(f)
	case *http2.RSTStreamFrame:
		return s.reset(f)
	case *http2.GoAwayFrame:
		switch {
		case f.LastStreamID < theStream && s.a.Status != 0:
			return fmt.Errorf("the service ended the connection (GOAWAY, %s), as if it had not processed the request that it was answering", f.ErrCode)
		case f.LastStreamID < theStream:
			return &fault{ReasonHTTP2Unprocessed, fmt.Errorf("%s ended the connection (GOAWAY, %s) and did not process the request: it can safely be made again", s.p.place(), f.ErrCode)}
		}
		kept := *f // The framer uses the frame again.
		s.goAway = &kept
		return s.controlled()
	case *http2.PushPromiseFrame:
		return s.bad("pushes what was not asked for")
	case *http2.SettingsFrame:
		if err := s.settings(f); err != nil {
			return err
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			if err := s.framer.WritePing(true, f.Data); err != nil {
				return err
			}
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			s.all += int64(f.Increment)
		} else {
			s.window += int64(f.Increment)
		}
	}
	return s.controlled()
}

// controlled ends the handling of a frame that brings the answer no further.
func (s *stream) controlled() error {
	if s.control++; s.control > maxControl {
		return s.bad("sent more than %d frames that are no answer", maxControl)
	}
	return s.send("")
}

// settings takes over what matters of the peer's, and acknowledges them.
func (s *stream) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
		s.window += int64(v) - s.peerInitial // RFC 9113 6.9.2; it may become negative.
		s.peerInitial = int64(v)
	}
	return s.framer.WriteSettingsAck()
}

// header takes an answer's header, interim or not, or its trailer.
func (s *stream) header(f *http2.MetaHeadersFrame) error {
	switch {
	case f.Truncated:
		return &fault{ReasonBadResponse, fmt.Errorf("the answer's header from %s is longer than %d octets", s.p.place(), maxHead)}
	case f.StreamID != theStream:
		return s.bad("answers on stream %d, which was not opened", f.StreamID)
	case s.a.Status != 0 && !f.StreamEnded(): // RFC 9113 8.1: a trailer ends the stream.
		s.malformed = s.bad("sends another header after that of its answer")
		return s.malformed
	case s.a.Status != 0:
		s.done = true
		return nil
	}
	word := f.PseudoValue("status")
	status, err := strconv.Atoi(word)
	if err != nil || len(word) != 3 || status < 100 || status > 599 || status == 101 {
		return s.bad("answers with the status %q", word)
	}
	for _, field := range f.RegularFields() {
		if slices.Contains(connectionFields, field.Name) {
			return s.bad("answers with the field %s, which is about a connection", field.Name)
		}
	}
	if status < 200 {
		if f.StreamEnded() {
			return s.bad("ends the stream with the interim answer %d", status)
		}
		if s.interim++; s.interim > maxInterim {
			return &fault{ReasonBadResponse, fmt.Errorf("%s sent more than %d interim (1xx) answers, and none that ends the request", s.p.place(), maxInterim)}
		}
		s.p.interim = status
		return s.controlled()
	}
	s.p.stage = stageBody
	s.a.Status, s.a.Proto = status, "HTTP/2.0"
	for _, field := range f.RegularFields() {
		s.a.Header = append(s.a.Header, Field{field.Name, field.Value})
	}
	s.done = f.StreamEnded()
	return nil
}

// connectionFields must not be in an answer (RFC 9113 8.2.2).
var connectionFields = []string{"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"}

// data takes a part of the body.
func (s *stream) data(f *http2.DataFrame) error {
	if f.StreamID != theStream || s.a.Status == 0 {
		return s.bad("sends a body before its header")
	}
	part := f.Data()
	room := s.limit - len(s.a.Body)
	s.a.Body = append(s.a.Body, part[:min(len(part), room)]...)
	s.a.BodyTruncated = len(part) > room
	s.done = f.StreamEnded() || s.a.BodyTruncated
	switch padding := f.Length - uint32(len(part)); {
	case s.done:
		return nil
	case padding > 0:
		// The window is for the body alone.
		err := errors.Join(s.framer.WriteWindowUpdate(0, padding), s.framer.WriteWindowUpdate(theStream, padding))
		if err != nil {
			return err
		}
	}
	if len(part) == 0 {
		return s.controlled()
	}
	return s.send("")
}

// reset takes the end of the stream by the peer (RFC 9113 8.1, 8.7).
func (s *stream) reset(f *http2.RSTStreamFrame) error {
	switch {
	case f.StreamID != theStream:
		return s.bad("resets stream %d, which was not opened", f.StreamID)
	case s.a.Status != 0:
		return fmt.Errorf("the service reset the stream (%s)", f.ErrCode)
	case f.ErrCode == http2.ErrCodeRefusedStream:
		return &fault{ReasonHTTP2Unprocessed, fmt.Errorf("%s refused the stream (RST_STREAM, %s) and did not process the request: it can safely be made again", s.p.place(), f.ErrCode)}
	}
	return &fault{ReasonHTTP2Reset, fmt.Errorf("%s reset the stream (RST_STREAM, %s) without an answer; it may have carried the request out", s.p.place(), f.ErrCode)}
}

// bad is what a peer does that HTTP/2 does not permit.
func (s *stream) bad(format string, args ...any) error {
	return &fault{ReasonBadResponse, fmt.Errorf("%s %s, which is no sound HTTP/2", s.p.place(), fmt.Sprintf(format, args...))}
}

// unreadable says why a frame could not be read.
func (s *stream) unreadable(err error) error {
	var connection http2.ConnectionError
	var one http2.StreamError
	switch {
	case errors.As(err, &connection), errors.As(err, &one), errors.Is(err, http2.ErrFrameTooLarge):
		if detail := s.framer.ErrorDetail(); detail != nil {
			err = detail
		}
		return s.bad("sent a frame that cannot be read (%s)", err)
	}
	return err
}
