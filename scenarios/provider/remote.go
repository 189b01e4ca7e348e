package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/doppelbox/doppelbox/receiver/mailaccess"
)

// RemoteFailure is a way in which a mailbox elsewhere fails.
type RemoteFailure string

// The failures.
const (
	RemoteFailLogin RemoteFailure = "login" // It refuses every login.
	RemoteFailDrop  RemoteFailure = "drop"  // It breaks the connection in the middle of the second message, once.
)

// remoteBox is a mailbox elsewhere, played within the process by the same POP3
// server that reads out the provider's own.
type remoteBox struct {
	mu       sync.Mutex
	password string
	fail     RemoteFailure
	next     int
	size     int // Octets of all messages.
	messages []mailaccess.Message
	raw      map[string][]byte
	changes  *mailaccess.Changes
}

// Bounds of a mailbox within the process.
const (
	maxRemote      = 10_000
	maxRemoteBytes = 256 << 20
)

func (b *remoteBox) set(password string, fail RemoteFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.password, b.fail = password, fail
	if b.changes == nil {
		b.changes, b.raw = mailaccess.NewChanges(), map[string][]byte{}
	}
}

// AddRemoteMail puts a message into the mailbox of an address elsewhere, within
// the process.
func (w *World) AddRemoteMail(address string, raw []byte) error {
	s, err := w.source(address)
	if err != nil {
		return err
	}
	if s.box == nil {
		return errors.New("the mailbox of " + s.Address + " is at " + s.Addr + ", and not within the process")
	}
	b := s.box
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size += len(raw); len(b.messages) >= maxRemote || b.size > maxRemoteBytes {
		b.size -= len(raw)
		return errors.New("the mailbox of " + s.Address + " is full")
	}
	b.next++
	sum := sha256.Sum256(raw)
	id := strconv.Itoa(b.next) + "." + hex.EncodeToString(sum[:8])
	b.messages = append(b.messages, mailaccess.Message{ID: id, UID: uint32(b.next), Size: int64(len(raw)), ReceivedAt: w.clock.Now()})
	b.raw[id] = raw
	return nil
}

// remoteServer makes the POP3 server of one connection to a source within the
// process.
func (w *World) remoteServer(s *source, conn *remoteConn) (*mailaccess.POP3Server, error) {
	config, err := w.ca.TLSConfig(s.Host)
	if err != nil {
		return nil, err
	}
	config.SessionTicketsDisabled = true
	return mailaccess.NewPOP3(mailaccess.Options{
		Backend: &remoteBackend{source: s, conn: conn}, Hostname: s.Host, TLSConfig: config, InsecureLogin: true, Changes: s.box.changes, Logger: w.log,
	})
}

// remoteBackend is a source within the process, as its server sees it.
type remoteBackend struct {
	source *source
	conn   *remoteConn
	read   int // In this session.
}

// remoteConn is the server's end of a session with a source. Once it is told to,
// it breaks in the middle of what is written next.
type remoteConn struct {
	net.Conn
	breaks bool // Set and read by the session alone.
}

// Write implements net.Conn.
func (c *remoteConn) Write(b []byte) (int, error) {
	if !c.breaks {
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(b[:len(b)/2])
	return n, errors.Join(err, c.Close(), io.ErrClosedPipe)
}

// Login implements mailaccess.Backend.
func (b *remoteBackend) Login(_ context.Context, l mailaccess.Login) (mailaccess.Mailbox, error) {
	box := b.source.box
	box.mu.Lock()
	defer box.mu.Unlock()
	if l.User != b.source.Login || l.Password != box.password || box.fail == RemoteFailLogin {
		return nil, mailaccess.ErrLogin
	}
	return b, nil
}

// Accessed implements mailaccess.Backend.
func (*remoteBackend) Accessed(mailaccess.Event) {}

// Name implements mailaccess.Mailbox.
func (b *remoteBackend) Name() string { return b.source.Address }

// Messages implements mailaccess.Mailbox.
func (b *remoteBackend) Messages(context.Context) ([]mailaccess.Message, error) {
	box := b.source.box
	box.mu.Lock()
	defer box.mu.Unlock()
	return append([]mailaccess.Message(nil), box.messages...), nil
}

// Read implements mailaccess.Mailbox.
func (b *remoteBackend) Read(_ context.Context, id string) ([]byte, error) {
	box := b.source.box
	box.mu.Lock()
	defer box.mu.Unlock()
	if b.read++; b.read == 2 && box.fail == RemoteFailDrop {
		box.fail, b.conn.breaks = "", true
	}
	return box.raw[id], nil
}
