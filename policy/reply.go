package policy

import (
	"net/netip"
	"strconv"
	"time"
)

// ReplyAccepted is the answer to an accepted message: two spaces, then Unix
// seconds (gmail-inbound.md 1.1). The session id and "gsmtp" that end every
// reply are added where it is sent.
func ReplyAccepted(at time.Time) Reply {
	return Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"OK  " + strconv.FormatInt(at.Unix(), 10)}}
}

// peerText is the client's address as replies show it.
func peerText(peer netip.Addr) string {
	if !peer.IsValid() {
		return ""
	}
	return peer.String()
}

// notCompliant is the refusal of what is not RFC 5322; why completes the
// sentence.
func (s subject) notCompliant(why string) Reply { return s.catalogued("not-compliant", "{why}", why) }
