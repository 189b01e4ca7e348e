package popfetch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/doppelbox/doppelbox/policy"
)

// fetch is one session.
type fetch struct {
	*conn
	src    Source
	sink   Sink
	opts   Options
	log    *slog.Logger
	result Result
	marked int // Messages that were marked as deleted.
}

// run goes through the session. An error is one after which the session cannot
// go on.
func (f *fetch) run() error {
	offered, err := f.open(f.src, f.opts)
	if err != nil {
		return err
	}
	f.result.LoggedIn = true
	list, err := f.list(offered)
	if err != nil {
		return err
	}
	f.result.Listed = len(list)
	seen, err := f.seen(list)
	if err != nil {
		return err
	}
	f.result.Left = len(list)
	for _, m := range list {
		if !seen[m.uid] && f.result.Fetched == f.opts.MaxMessages {
			continue
		}
		f.result.Left--
		if seen[m.uid] {
			f.result.Known++
			err = f.delete(m)
		} else {
			err = f.retrieve(m)
		}
		if err != nil {
			return err
		}
	}
	return f.quit()
}

// seen asks the sink which of the unique ids it has. It has no empty one.
func (f *fetch) seen(list []listed) (map[string]bool, error) {
	uids := make([]string, 0, len(list))
	for _, m := range list {
		if m.uid != "" {
			uids = append(uids, m.uid)
		}
	}
	if len(uids) == 0 {
		return nil, nil
	}
	seen, err := f.sink.Seen(f.ctx, uids)
	if err != nil {
		return nil, fmt.Errorf("looking up messages of %s: %w", f.server, err)
	}
	return seen, nil
}

// retrieve reads a message and has it stored.
func (f *fetch) retrieve(m listed) error {
	if m.size > f.opts.MaxMessage {
		f.refuse(&f.result.TooLarge, m, ErrTooLarge)
		return nil
	}
	op := fmt.Sprintf("RETR %d", m.number)
	if err := f.command(op); err != nil {
		return f.single(op, m, err)
	}
	raw, size, err := f.message(f.opts.MaxMessage, m.size)
	if size != m.size && err == nil {
		f.problems.Add(policy.Place{}, ProblemSize, "message %d has %d octets, and LIST says %d", m.number, size, m.size)
	}
	m.size = size
	if size > f.opts.MaxMessage {
		f.refuse(&f.result.TooLarge, m, ErrTooLarge)
	}
	switch {
	case err != nil:
		return f.fail(op, err)
	case size > f.opts.MaxMessage:
		return nil
	}
	return f.store(m, raw)
}

// store has a message stored, and then deleted.
func (f *fetch) store(m listed, raw []byte) error {
	if m.uid == "" {
		sum := sha256.Sum256(raw)
		m.uid = hex.EncodeToString(sum[:])
		seen, err := f.sink.Seen(f.ctx, []string{m.uid})
		if err != nil {
			return f.unstored(m, err)
		}
		if seen[m.uid] {
			f.result.Known++
			return f.delete(m)
		}
	}
	err := f.sink.Store(f.ctx, policy.Fetch{
		Source: f.src.Address, Host: f.src.Host, Port: f.src.Port, Login: f.src.Login, TLS: f.tls, UID: m.uid,
	}, raw)
	if err != nil {
		return f.unstored(m, err)
	}
	f.result.Fetched++
	return f.delete(m)
}

// delete marks a message that the sink has as deleted.
func (f *fetch) delete(m listed) error {
	if f.src.Keep {
		return nil
	}
	op := fmt.Sprintf("DELE %d", m.number)
	if err := f.command(op); err != nil {
		return f.single(op, m, err)
	}
	f.marked++
	return nil
}

// quit ends the session, with which the server deletes what was marked.
func (f *fetch) quit() error {
	err := f.command("QUIT")
	switch {
	case err == nil:
		f.result.Deleted = f.marked
	case f.marked > 0:
		return f.fail("QUIT", err)
	default:
		f.problems.Add(policy.Place{}, ProblemQuit, "QUIT was not answered with +OK: %v", err)
	}
	return nil
}

// single deals with the error of a command that concerns one message. The
// session goes on if the server has refused it, and after nothing else.
func (f *fetch) single(op string, m listed, err error) error {
	r := (*refusal)(nil)
	if !errors.As(err, &r) {
		return f.fail(op, err)
	}
	f.refuse(&f.result.Refused, m, f.fail(op, r))
	return nil
}

// unstored deals with an error of the sink.
func (f *fetch) unstored(m listed, err error) error {
	err = f.fail(fmt.Sprintf("storing message %d", m.number), err)
	if f.ctx.Err() != nil {
		return err
	}
	f.refuse(&f.result.Refused, m, err)
	return nil
}

// maxRefused bounds the messages of a kind that are told of one by one; the
// others are counted among Left.
const maxRefused = 1000

// refuse notes a message that was left out, or left undeleted.
func (f *fetch) refuse(list *[]Refused, m listed, err error) {
	if len(*list) >= maxRefused {
		f.result.Left++
		return
	}
	*list = append(*list, Refused{Number: m.number, UID: m.uid, Size: m.size, Err: err})
}
