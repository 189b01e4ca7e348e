package mailaccess

import (
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

const imapDelimiter = '/'

// imapOnlyInbox is the answer for any other mailbox.
func imapOnlyInbox(code imap.ResponseCode) error {
	return imapNo(code, "there is no mailbox but INBOX")
}

// List implements imapserver.Session, for LIST and LSUB.
func (s *imapSession) List(w *imapserver.ListWriter, ref string, patterns []string, o *imap.ListOptions) error {
	if len(patterns) == 0 {
		// The client asks for the delimiter (RFC 3501 6.3.8).
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: imapDelimiter})
	}
	if o.SelectSpecialUse || !matchesInbox(ref, patterns) {
		return nil
	}
	data := &imap.ListData{
		Attrs:   []imap.MailboxAttr{imap.MailboxAttrHasNoChildren},
		Delim:   imapDelimiter,
		Mailbox: imapInbox,
	}
	if o.SelectSubscribed || o.ReturnSubscribed {
		data.Attrs = append(data.Attrs, imap.MailboxAttrSubscribed)
	}
	if o.ReturnStatus != nil {
		status, err := s.Status(imapInbox, o.ReturnStatus)
		if err != nil {
			return err
		}
		data.Status = status
	}
	return w.WriteList(data)
}

func matchesInbox(ref string, patterns []string) bool {
	for _, p := range patterns {
		if imapGlob(strings.ToUpper(ref+p), imapInbox) {
			return true
		}
	}
	return false
}

// Namespace implements imapserver.SessionNamespace.
func (s *imapSession) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: imapDelimiter}}}, nil
}

// Subscribe implements imapserver.Session. INBOX always is subscribed.
func (s *imapSession) Subscribe(mailbox string) error {
	if mailbox != imapInbox {
		return imapOnlyInbox(imap.ResponseCodeNonExistent)
	}
	return nil
}

// Unsubscribe implements imapserver.Session.
func (s *imapSession) Unsubscribe(mailbox string) error {
	if mailbox != imapInbox {
		return imapOnlyInbox(imap.ResponseCodeNonExistent)
	}
	return imapNo(imap.ResponseCodeCannot, "INBOX always is subscribed")
}

// Create implements imapserver.Session.
func (s *imapSession) Create(string, *imap.CreateOptions) error {
	return imapOnlyInbox(imap.ResponseCodeCannot)
}

// Delete implements imapserver.Session.
func (s *imapSession) Delete(string) error {
	return imapOnlyInbox(imap.ResponseCodeCannot)
}

// Rename implements imapserver.Session.
func (s *imapSession) Rename(string, string, *imap.RenameOptions) error {
	return imapOnlyInbox(imap.ResponseCodeCannot)
}

// Append implements imapserver.Session. It is never called: the connection
// refuses APPEND before its literal.
func (s *imapSession) Append(string, imap.LiteralReader, *imap.AppendOptions) (*imap.AppendData, error) {
	return nil, imapOnlyInbox(imap.ResponseCodeCannot)
}

// Copy implements imapserver.Session.
func (s *imapSession) Copy(imap.NumSet, string) (*imap.CopyData, error) {
	return nil, imapOnlyInbox(imap.ResponseCodeCannot)
}

// Move implements imapserver.SessionMove.
func (s *imapSession) Move(*imapserver.MoveWriter, imap.NumSet, string) error {
	return imapOnlyInbox(imap.ResponseCodeCannot)
}
