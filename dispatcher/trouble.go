package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stage is how far an exchange has come. What went wrong means something else
// at each.
type stage int

const (
	stageLookup stage = iota
	stageConnect
	stageHandshake
	stageSend
	stageWait // The request was sent; nothing has come of the answer.
	stageHeader
	stageBody
)

// progress is how an exchange stands, for the sentence that says why it ended.
type progress struct {
	stage   stage
	host    string // That of the URL.
	addr    string // What is or was connected to.
	limit   time.Duration
	whole   int  // Octets of the request.
	sent    int  // Octets of it that were written.
	interim int  // Status of the last interim (1xx) answer; zero before one.
	head    int  // Octets of the answer after it that came before its header was whole.
	reused  bool // The connection had been used before.
	asked   bool // The server asked for a certificate of the client.
}

// place names where the exchange went.
func (p *progress) place() string {
	if p.addr == "" || p.addr == p.host {
		return p.host
	}
	return p.host + " (" + p.addr + ")"
}

// trouble says what an error of an exchange means. ctx is the attempt's.
func (p *progress) trouble(ctx context.Context, err error) *fault {
	var f *fault
	// A lookup that was interrupted has failed because of that.
	if errors.As(err, &f) && (f.reason != ReasonDNS || ctx.Err() == nil) {
		return f
	}
	switch {
	case p.late(ctx, err):
		return &fault{ReasonTimeout, fmt.Errorf("no answer within %s: %s", p.limit, p.unfinished())}
	case ctx.Err() != nil:
		return &fault{ReasonCancelled, errors.New("the dispatcher was stopped: " + p.unfinished())}
	case p.stage == stageLookup:
		return &fault{ReasonDNS, err}
	case p.stage == stageConnect:
		return p.unconnected(err)
	}
	if f := p.tlsTrouble(err); f != nil {
		return f
	}
	if broken(err) {
		return &fault{ReasonReset, errors.New(p.ended(err))}
	}
	if p.stage == stageHandshake {
		return &fault{ReasonTLSOther, fmt.Errorf("the TLS handshake with %s failed: %w", p.place(), err)}
	}
	return &fault{ReasonReset, fmt.Errorf("the connection to %s failed, %s: %w", p.place(), p.unfinished(), err)}
}

// late tells whether an error is that time ran out. A lookup has limits of its
// own, and its failing by them is not this one's end.
func (p *progress) late(ctx context.Context, err error) bool {
	if errors.Is(context.Cause(ctx), errLimit) {
		return true
	}
	return ctx.Err() == nil && p.stage != stageLookup && timedOut(err)
}

// timedOut tells whether an error is that a time limit has passed.
func timedOut(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// unfinished says what was still to come, and what that is a sign of.
func (p *progress) unfinished() string {
	switch p.stage {
	case stageLookup:
		return fmt.Sprintf("the addresses of %s were still being looked up", p.host)
	case stageConnect:
		return fmt.Sprintf("%s had not taken the connection; nothing may be there, or a firewall drops what it is sent", p.place())
	case stageHandshake:
		return fmt.Sprintf("%s had taken the connection, and not finished the TLS handshake; it may be overloaded, or expect another protocol on this port", p.place())
	case stageSend:
		return fmt.Sprintf("%s had taken %d of the request's %d octets, and stopped reading", p.place(), p.sent, p.whole)
	case stageWait:
		if p.interim != 0 {
			return fmt.Sprintf("the request was sent, and the service had not gone beyond the interim answer %d; it may still carry the request out", p.interim)
		}
		return "the request was sent, and the service had not begun its answer; it may still carry the request out"
	case stageHeader:
		return fmt.Sprintf("the request was sent, and %d octets of the answer's header had come, but not its end; the service may still carry the request out", p.head)
	}
	return "the body of the answer had not come to its end"
}

// broken tells whether an error is that the other side ended the connection.
func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
}

// ended says at what moment the other side ended the connection.
func (p *progress) ended(err error) string {
	did := "closed"
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		did = "reset"
	}
	var when string
	switch p.stage {
	case stageHandshake:
		return fmt.Sprintf("%s %s the connection during the TLS handshake; it may not speak TLS on this port, or not know the name %s", p.place(), did, p.host)
	case stageSend:
		when = fmt.Sprintf("when it had been sent %d of the request's %d octets", p.sent, p.whole)
	case stageWait:
		when = "after the request, without an answer; it may have carried the request out"
		if p.interim != 0 {
			when = fmt.Sprintf("after the interim answer %d, without one that ends the request; it may have carried the request out", p.interim)
		}
	default:
		when = fmt.Sprintf("after %d octets of the answer's header, before its end; it may have carried the request out", p.head)
	}
	text := fmt.Sprintf("%s %s the connection %s", p.place(), did, when)
	silent := p.head == 0 && p.interim == 0
	if p.reused && silent {
		text += "; the connection was kept from an earlier request, and may have been given up by the service just then"
	}
	if p.asked && silent {
		text += "; it had asked for a certificate of the client, and got none"
	}
	return text
}

// unconnected says why there is no connection.
func (p *progress) unconnected(err error) *fault {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &fault{ReasonConnectRefused, fmt.Errorf("%s refused the connection: nothing listens there", p.place())}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return &fault{ReasonUnreachable, fmt.Errorf("no way leads to %s: %w", p.place(), bare(err))}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &fault{ReasonUnreachable, fmt.Errorf("no connection to %s can be made from this address of the machine, or it is none: %w", p.place(), bare(err))}
	}
	return &fault{ReasonUnreachable, fmt.Errorf("no connection to %s: %w", p.place(), bare(err))}
}

// bare is an error without the addresses that net puts in front of it.
func bare(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}

// remark is what there is to be said of an answer that counts.
func (p *progress) remark(ctx context.Context, a *Attempt) error {
	end := p.brokenOff(ctx, a)
	var early error
	switch {
	case p.sent == 0:
		early = errors.New("the service answered before anything of the request had been sent")
	case p.sent < p.whole:
		early = fmt.Errorf("the service answered when it had been sent %d of the request's %d octets", p.sent, p.whole)
	}
	if early == nil || end == nil {
		return cmp.Or(early, end)
	}
	return fmt.Errorf("%w; %w", early, end)
}

// brokenOff is the remark on an answer whose body broke off.
func (p *progress) brokenOff(ctx context.Context, a *Attempt) error {
	if a.bodyErr == nil {
		return nil
	}
	const counts = "the answer counts, but its body broke off after %d octets: %s"
	why := ""
	switch announced, known := announcedLength(a.Header); {
	case p.late(ctx, a.bodyErr):
		why = "its end had not come within " + p.limit.String()
	case ctx.Err() != nil:
		why = "the dispatcher was stopped"
	case errors.Is(a.bodyErr, syscall.ECONNRESET):
		why = "the service reset the connection"
	case broken(a.bodyErr) && known:
		why = fmt.Sprintf("the service closed the connection, and had announced %d", announced)
	case broken(a.bodyErr):
		why = "the service closed the connection before its end"
	default:
		why = a.bodyErr.Error()
	}
	return fmt.Errorf(counts, len(a.Body), why)
}

// announcedLength is the length of its body that a header states.
func announcedLength(header []Field) (uint64, bool) {
	for _, f := range header {
		if strings.EqualFold(f.Name, "Content-Length") {
			n, err := strconv.ParseUint(f.Value, 10, 63)
			return n, err == nil
		}
	}
	return 0, false
}
