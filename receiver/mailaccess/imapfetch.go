package mailaccess

import (
	"errors"
	"math"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// imapMaxSections bounds the sections of one FETCH: each may be the whole
// message again.
const imapMaxSections = 100

// Fetch implements imapserver.Session. It reads the messages that are asked for,
// and those only if it has to.
func (s *imapSession) Fetch(w *imapserver.FetchWriter, set imap.NumSet, o *imap.FetchOptions) error {
	if err := checkFetch(o); err != nil {
		return err
	}
	list, err := s.choose(set)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := s.fetch(w, m, o); err != nil {
			return err
		}
	}
	return nil
}

func checkFetch(o *imap.FetchOptions) error {
	if len(o.BinarySection)+len(o.BinarySectionSize) > 0 {
		return imapBad("there is no BINARY")
	}
	if len(o.BodySection) > imapMaxSections {
		return imapNo(imap.ResponseCodeLimit, "too many sections")
	}
	for _, b := range o.BodySection {
		switch {
		case b.Partial != nil && (b.Partial.Offset > math.MaxUint32 || b.Partial.Size > math.MaxUint32 || b.Partial.Size == 0):
			return imapBad("a part of a section has an offset and a size of 32 bits")
		case b.Specifier == imap.PartSpecifierMIME && len(b.Part) == 0:
			return imapBad("MIME needs the number of a part")
		}
		for _, list := range [][]string{b.HeaderFields, b.HeaderFieldsNot} {
			for _, name := range list {
				if !isIMAPFieldName(name) {
					return imapBad("that is not the name of a header field")
				}
			}
		}
	}
	return nil
}

// isIMAPFieldName reports whether s can be a field's name (RFC 5322 2.2). Others
// could not be repeated in the answer.
func isIMAPFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}

// fetch answers for one message.
func (s *imapSession) fetch(w *imapserver.FetchWriter, m imapChosen, o *imap.FetchOptions) error {
	var raw []byte
	var entity *imapEntity
	if reads := o.Envelope || o.BodyStructure != nil || len(o.BodySection) > 0; reads {
		var err error
		if raw, err = s.conn.mailbox.Read(s.conn.context(), m.ID); err != nil {
			return s.unavailable("reading message", err)
		}
		entity = parseIMAPEntity(raw, needsIMAPParts(o))
	}
	marked := s.markSeen(m, o)

	r := w.CreateMessage(m.seq)
	if o.UID {
		r.WriteUID(imap.UID(m.UID))
	}
	if o.Flags || marked {
		r.WriteFlags(imapFlags(m.flags))
	}
	if o.InternalDate {
		r.WriteInternalDate(m.ReceivedAt)
	}
	if o.RFC822Size {
		r.WriteRFC822Size(m.Size)
	}
	if o.Envelope {
		r.WriteEnvelope(entity.envelope())
	}
	if o.BodyStructure != nil {
		r.WriteBodyStructure(entity.structure())
	}
	whole, err := m.writeSections(r, entity, o.BodySection)
	// Close in any case: it lets go of the connection.
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if raw != nil {
		s.conn.tell(Event{Kind: EventRead, Message: m.ID, Whole: whole})
	}
	return nil
}

// writeSections writes sections of the message. whole says that with them the
// client has all of it: many take the header first, or piece by piece.
func (m imapChosen) writeSections(r *imapserver.FetchResponseWriter, entity *imapEntity, sections []*imap.FetchItemBodySection) (whole bool, err error) {
	for _, b := range sections {
		octets, at := entity.section(b)
		body := r.WriteBodySection(b, int64(len(octets)))
		_, err := body.Write(octets)
		if err = errors.Join(err, body.Close()); err != nil {
			return false, err
		}
		if at < 0 || at > m.read {
			continue
		}
		m.read = max(m.read, at+len(octets))
		whole = whole || at+len(octets) == len(entity.raw)
	}
	return whole, nil
}

// markSeen sets \Seen on a message of which the client reads content (RFC 3501
// 6.4.5). It reports whether the flag is new.
func (s *imapSession) markSeen(m imapChosen, o *imap.FetchOptions) bool {
	reads := false
	for _, b := range o.BodySection {
		reads = reads || !b.Peek
	}
	if !reads || s.open.readOnly {
		return false
	}
	seen := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}}
	had := m.has(string(imap.FlagSeen))
	m.flags, _ = s.changes.editFlags(s.conn.mailbox.Name(), m.ID, func(flags []string) []string { return editIMAPFlags(flags, seen) })
	return !had && m.has(string(imap.FlagSeen))
}
