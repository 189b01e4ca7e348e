package smtpserver

import (
	"crypto/tls"
	"time"
)

// startTLS deals with STARTTLS (RFC 3207). go-smtp does not learn of it: until
// the next EHLO nothing that needs a state gets to it, and with EHLO it forgets
// what was before.
func (w *wire) startTLS(arg string) {
	switch config := w.server.opts.TLSConfig; {
	case config == nil:
		w.fault(replyUnimplemented)
	case w.in.Buffered() > 0:
		// Sent in the clear, to be run under TLS: it must not run at all. Nor
		// under TLS, where no client has a reason.
		w.hangUp(replyTLSPipelined)
	case arg != "":
		w.reply(replyTLSParameter)
	case w.env.TLS != nil:
		w.reply(replyBadSequence)
	case !w.greeted:
		w.reply(replyHelloFirst)
	default:
		w.say(replyReadyForTLS, "")
		w.handshake(config)
	}
}

// handshake puts TLS over the connection and forgets all that was learned
// before (RFC 3207 4.2).
func (w *wire) handshake(config *tls.Config) {
	if w.over {
		return
	}
	w.due = time.Time{} // One deadline for the whole.
	if err := w.arm(); err != nil {
		w.lost(err)
		return
	}
	if err := w.armWrite(); err != nil {
		w.lost(err)
		return
	}
	conn := tls.Server(w.sock, config)
	if err := conn.HandshakeContext(w.server.ctx); err != nil {
		w.log.Debug("losing SMTP connection in TLS handshake", "session", w.env.Session, "error", err)
		w.over = true // Neither side can say anything the other understands.
		return
	}
	state := conn.ConnectionState()
	w.rw = conn
	w.in.Reset(source{w})
	w.reset()
	w.greeted, w.strange = false, 0
	w.env.HELO, w.env.ESMTP, w.env.TLS = "", false, &state
}
