package mailaccess

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

const (
	// imapMaxFlags bounds the flags of a message. They stay in memory.
	imapMaxFlags = 32
	// imapMaxFlag bounds a flag, in octets.
	imapMaxFlag = 64
)

// systemFlags are those that every mailbox has (RFC 3501 2.3.2), but \Recent.
func systemFlags() []imap.Flag {
	return []imap.Flag{imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagSeen, imap.FlagDraft}
}

// imapFlagsIn returns the flags of RFC 3501 and those of the messages, but no
// more than one message may have.
func imapFlagsIn(list []imapMessage) []imap.Flag {
	flags := systemFlags()
	for _, m := range list {
		for _, f := range m.flags {
			if !imapHasFlag(flags, imap.Flag(f)) && len(flags) < imapMaxFlags {
				flags = append(flags, imap.Flag(f))
			}
		}
	}
	return flags
}

// imapHasFlag reports whether flag is among flags. Case does not matter.
func imapHasFlag[T ~string](flags []T, flag T) bool {
	return slices.ContainsFunc(flags, func(f T) bool { return strings.EqualFold(string(f), string(flag)) })
}

func imapFlags(flags []string) []imap.Flag {
	list := make([]imap.Flag, len(flags))
	for i, f := range flags {
		list[i] = imap.Flag(f)
	}
	return list
}

// mayChange says why the mailbox cannot be changed, if so. go-imap does not know
// that EXAMINE is read-only.
func (s *imapSession) mayChange() error {
	if s.open.readOnly {
		return imapNo(imap.ResponseCodeNoPerm, "the mailbox is read-only")
	}
	return nil
}

// Store implements imapserver.Session.
func (s *imapSession) Store(w *imapserver.FetchWriter, set imap.NumSet, o *imap.StoreFlags, _ *imap.StoreOptions) error {
	if err := s.mayChange(); err != nil {
		return err
	}
	for _, f := range o.Flags {
		switch {
		case strings.HasPrefix(string(f), `\`) && !imapHasFlag(systemFlags(), f):
			return imapBad("clients cannot set that flag")
		case len(f) > imapMaxFlag:
			return imapNo(imap.ResponseCodeLimit, "the flag is too long")
		}
	}
	list, err := s.choose(set)
	if err != nil {
		return err
	}
	full := false
	for _, m := range list {
		flags, ok := s.changes.editFlags(s.conn.mailbox.Name(), m.ID, func(flags []string) []string { return editIMAPFlags(flags, o) })
		full = full || !ok
		m.flags = flags
		if !o.Silent {
			r := w.CreateMessage(m.seq)
			r.WriteUID(imap.UID(m.UID))
			r.WriteFlags(imapFlags(flags))
			if err := r.Close(); err != nil {
				return err
			}
		}
	}
	if full {
		return imapNo(imap.ResponseCodeLimit, "a message cannot have so many flags")
	}
	return nil
}

func editIMAPFlags(flags []string, o *imap.StoreFlags) []string {
	if o.Op == imap.StoreFlagsSet {
		flags = nil
	}
	for _, f := range o.Flags {
		switch has := imapHasFlag(flags, string(f)); {
		case o.Op == imap.StoreFlagsDel:
			flags = slices.DeleteFunc(flags, func(have string) bool { return strings.EqualFold(have, string(f)) })
		case !has:
			flags = append(flags, string(f))
		}
	}
	return flags
}

// Expunge implements imapserver.Session, for EXPUNGE, UID EXPUNGE and CLOSE.
func (s *imapSession) Expunge(w *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	if s.open.readOnly && s.conn.command.name == "CLOSE" {
		return nil // RFC 3501 6.4.2: nothing is removed, and that is no error.
	}
	if err := s.mayChange(); err != nil {
		return err
	}
	var in imap.SeqSet
	if uids != nil {
		if imap.IsSearchRes(*uids) {
			return imapBad("results of SEARCH are not kept")
		}
		in = imapNumbers(*uids, s.open.last())
	}
	for i := len(s.open.messages) - 1; i >= 0; i-- {
		m := s.open.messages[i]
		// Another client may have changed the flag since this one was told.
		if uids != nil && !in.Contains(m.UID) || !imapHasFlag(s.flags(m.ID), string(imap.FlagDeleted)) {
			continue
		}
		s.changes.Delete(s.conn.mailbox.Name(), m.ID)
		s.open.messages = slices.Delete(s.open.messages, i, i+1)
		if err := w.WriteExpunge(*imapNumber(i + 1)); err != nil {
			return err
		}
	}
	return nil
}
