package mailaccess

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// acceptPause is how long accepting rests, at most, when the machine has run out
// of something.
const acceptPause = time.Second

// complete returns o with its defaults, or an error that names everything wrong
// with it.
func (o Options) complete(protocol Protocol) (Options, error) {
	var errs []error
	if o.Backend == nil {
		errs = append(errs, errors.New("no backend"))
	}
	if o.Hostname == "" || strings.ContainsFunc(o.Hostname, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, fmt.Errorf("host name %q is empty or not plain ASCII", o.Hostname))
	}
	if len(errs) > 0 {
		return o, fmt.Errorf("configuring %s server: %w", protocol.name(), errors.Join(errs...))
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// name is the protocol as people write it.
func (p Protocol) name() string { return strings.ToUpper(string(p)) }

// accepting hands the connections of a listener to a server.
type accepting struct {
	protocol Protocol
	log      *slog.Logger
	serve    func(net.Conn)
}

// run accepts until ctx ends, which is nil, or until accepting fails for good. It
// returns after the last connection has ended.
func (a accepting) run(ctx context.Context, l net.Listener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		if err == nil {
			pause = 0
			conns.Go(func() { a.serve(c) })
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if !passes(err) {
			return fmt.Errorf("accepting %s connection on %s: %w", a.protocol.name(), l.Addr(), err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), acceptPause)
		a.log.Warn("accepting "+a.protocol.name()+" connection", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// passes says whether accepting may work again after a while.
func passes(err error) bool {
	return slices.ContainsFunc([]syscall.Errno{
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	}, func(e syscall.Errno) bool { return errors.Is(err, e) })
}
