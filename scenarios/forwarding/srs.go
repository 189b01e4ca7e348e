package forwarding

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

const (
	// srsHash is the length of an SRS hash in digits of base64, the usual one.
	srsHash = 4
	// base32 are the digits of an SRS timestamp.
	base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// srs rewrites an envelope address to one of the forwarder's domain by the
// Sender Rewriting Scheme: SRS0 on the first hop, and SRS1 if the address is
// one of SRS already, which keeps the first hop's part as it is. An address of the
// forwarder's own domain stays.
func srs(from, forwarder, secret string, now time.Time) string {
	local, domain := cut(from)
	if strings.EqualFold(domain, forwarder) {
		return from
	}
	kind, rest := "", ""
	if len(local) > 5 && strings.ContainsRune("=+-", rune(local[4])) {
		kind, rest = strings.ToUpper(local[:4]), local[4:]
	}
	switch kind {
	case "SRS0":
		return fmt.Sprintf("SRS1=%s=%s=%s@%s", srsSum(secret, domain, rest), domain, rest, forwarder)
	case "SRS1":
		// SRS1=hash=first==hash=day=domain=local: the hash of the hop before is replaced.
		if hop := strings.SplitN(rest[1:], "=", 3); len(hop) == 3 {
			return fmt.Sprintf("SRS1=%s=%s=%s@%s", srsSum(secret, hop[1], hop[2]), hop[1], hop[2], forwarder)
		}
	}
	day := srsDay(now)
	return fmt.Sprintf("SRS0=%s=%s=%s=%s@%s", srsSum(secret, day, domain, local), day, domain, local, forwarder)
}

// srsDay returns the day as SRS stamps it: modulo 1,024, in base32.
func srsDay(now time.Time) string {
	day := now.Unix() / (24 * 60 * 60)
	return string([]byte{base32[day>>5&31], base32[day&31]})
}

// srsSum returns the start of the HMAC-SHA1 of the pieces in lower case.
func srsSum(secret string, pieces ...string) string {
	h := hmac.New(sha1.New, []byte(secret))
	for _, s := range pieces {
		h.Write([]byte(strings.ToLower(s)))
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))[:srsHash]
}
