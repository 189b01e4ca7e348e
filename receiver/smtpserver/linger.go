package smtpserver

import (
	"crypto/tls"
	"io"
	"time"
)

// A client that is sending reads nothing. If its connection is closed under it
// with octets unread, TCP resets it, and the last reply may be lost with it.
// So the end is announced, and the client gets this long and this many octets
// to see it. What real servers allow differs; this is short, because the
// session counts as a connection all the while.
const (
	lingerTimeout = 3 * time.Second
	lingerOctets  = 1 << 20
)

// linger waits for the client to have read the last reply, unless the server
// is stopping. It does nothing for connections that cannot be closed for
// writing alone, such as pipes: the client would wait for an end too.
func (w *wire) linger() {
	half, ok := w.sock.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	w.setInMessage(false) // So that Shutdown need not wait.
	if !w.armLinger() {
		return
	}
	if conn, ok := w.rw.(*tls.Conn); ok {
		// Without it the end looks like an attack. If it fails, so will what follows.
		_ = conn.CloseWrite()
	}
	if half.CloseWrite() != nil {
		return
	}
	// What comes is not looked at, under TLS not even decrypted; any error is
	// the end.
	_, _ = io.CopyN(io.Discard, w.sock, lingerOctets)
}

// armLinger sets the deadline for the client's last octets. It is false if the
// server is stopping; when it stops later, the deadline passes at once.
func (w *wire) armLinger() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.course == serving && w.sock.SetReadDeadline(time.Now().Add(lingerTimeout)) == nil
}
