package smtpserver

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/emersion/go-smtp"
)

// draft is what a MAIL or RCPT command says. It becomes part of the envelope
// when go-smtp carries the command out.
type draft struct {
	addr string
	mailParams
}

// session is what go-smtp calls back. It takes nothing from go-smtp's
// arguments: go-smtp is fed placeholders, because it would unquote addresses.
type session struct{ w *wire }

func (s session) Mail(string, *smtp.MailOptions) error {
	w := s.w
	w.open = true
	w.env.From = w.draft.addr
	w.env.UTF8, w.env.Body, w.env.DeclaredSize = w.draft.utf8, w.draft.body, w.draft.size
	if r := w.admit(StageMail); r.class() != 2 {
		w.reset()
		w.pending.answer, w.pending.expect = r, r.Code
		return status(r.Code)
	}
	return nil
}

func (s session) Rcpt(string, *smtp.RcptOptions) error {
	w := s.w
	r := w.askRcpt(w.draft.addr)
	if r.class() == 2 {
		w.env.Rcpts = append(w.env.Rcpts, w.draft.addr)
		w.pending.answer = r
		return nil
	}
	w.pending.answer, w.pending.expect = r, r.Code
	return status(r.Code)
}

// Data reads the message from the wire, not from go-smtp, which is given an end
// of data afterwards: go-smtp reads nothing ahead, as it gets one line a Read.
func (s session) Data(io.Reader) error {
	w := s.w
	if err := w.readMessage(); err != nil {
		// The rest of the message must not be taken for commands.
		w.pending.open = false
		w.lost(err)
		return err
	}
	w.terminator, w.idle = true, 0
	var r Reply
	switch {
	case w.body.size > w.server.opts.MaxSize:
		r = replyTooLarge(w.body.size, w.server.opts.MaxSize)
	case w.body.dropped:
		r = replyNoRoom
	default:
		r = w.deliver(w.body.join())
	}
	w.pending.answer, w.pending.expect = r, r.Code
	return status(r.Code)
}

func (s session) Reset()        { s.w.reset() }
func (s session) Logout() error { return nil }

// reset forgets the transaction.
func (w *wire) reset() {
	w.open, w.chunked = false, false
	w.body.reset()
	w.setInMessage(false)
	e := &w.env
	e.From, e.Rcpts, e.UTF8, e.Body, e.DeclaredSize = "", nil, false, "", 0
}

// status makes go-smtp reply with code.
func status(code int) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode}
}

// admit asks the Backend whether the session may go on; 2xx is yes.
func (w *wire) admit(at Stage) (r Reply) {
	defer w.recoverTo(&r)
	refusal := w.server.opts.Backend.Admit(w.server.ctx, &w.env, at)
	switch {
	case refusal == nil:
		return replyOK
	case refusal.class() == 2:
		return w.invalid(*refusal) // Nobody would say its words.
	default:
		return w.checked(*refusal)
	}
}

// askRcpt asks the Backend about a recipient.
func (w *wire) askRcpt(rcpt string) (r Reply) {
	defer w.recoverTo(&r)
	answer := w.server.opts.Backend.Rcpt(w.server.ctx, &w.env, rcpt)
	if answer == nil {
		return replyRcptOK
	}
	return w.checked(*answer)
}

// deliver hands a message to the Backend, if its line ends are good enough.
func (w *wire) deliver(raw []byte) (r Reply) {
	defer w.recoverTo(&r)
	switch treatment := w.server.opts.BareLineEnds(); treatment {
	case BareLineEndsAccept:
	case BareLineEndsReject:
		if hasBareLineEnd(raw) {
			return replyMalformed
		}
	default:
		w.log.Error("unknown treatment of bare line ends", "session", w.env.Session, "treatment", treatment)
		return replySystemProblem
	}
	r = w.server.opts.Backend.Deliver(w.server.ctx, w.env, raw)
	if r.Code == 250 && r.Enhanced == "" && len(r.Lines) == 0 {
		return replyAccepted(w.server.opts.Now())
	}
	return w.checked(r)
}

// checked returns r, or 421 if r cannot be the answer to a command.
func (w *wire) checked(r Reply) Reply {
	if r.final() {
		return r
	}
	return w.invalid(r)
}

// invalid is what is said in place of a Backend's r.
func (w *wire) invalid(r Reply) Reply {
	w.log.Error("backend gave no valid reply", "session", w.env.Session, "verb", w.verb, "code", r.Code)
	return replySystemProblem
}

// recoverTo turns a panic of the Backend, or of an option, into 421. Its value
// is not logged: it may quote mail.
func (w *wire) recoverTo(r *Reply) {
	if v := recover(); v != nil {
		w.log.Error("backend panicked", "session", w.env.Session, "verb", w.verb,
			"type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		*r = replySystemProblem
	}
}

// readMessage sees to it that the message of the transaction is in w.body. That
// of BDAT is there already.
func (w *wire) readMessage() error {
	if w.chunked {
		return nil
	}
	w.reply(replyGoAhead)
	w.setInMessage(true)
	return w.readData()
}
