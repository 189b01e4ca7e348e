// Package forwarding makes, for scenario files, the mails that people's clients
// and forwarders make of a mail: forwards by hand in the manner of some
// clients and languages (Manual), and what an automatic forwarder passes on
// (Auto). Octets in, octets out: time and identifiers are options, and the same
// options give the same octets.
//
// It sends nothing, signs nothing and judges nothing. It localises no names of
// months and days: dates are in a client's own format in English, and plain
// numbers in the other languages.
package forwarding

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxOriginal is the largest mail that is forwarded, in octets: what Gmail
	// lets its users send.
	maxOriginal = 25 << 20
	// maxAddress is the longest address that is written, in octets: what a path
	// of 256 leaves of it (RFC 5321 4.5.3.1.3).
	maxAddress = 254
)

// Errors of Manual and Auto.
var (
	// ErrTooLarge says that the original has more than 25 MB.
	ErrTooLarge = errors.New("the original is larger than 25 MB")
	// ErrNoHeader says that the original has no header, or one that would
	// continue a field put before it.
	ErrNoHeader = errors.New("the original does not start with a header field")
	// ErrUnbroken says that the original has nothing that a Break could change.
	ErrUnbroken = errors.New("the original has nothing to change")
	// ErrOption says that an option has a value that cannot be used.
	ErrOption = errors.New("unusable option")
)

// read checks and parses an original.
func read(original []byte) (*message.Message, error) {
	if len(original) > maxOriginal {
		return nil, ErrTooLarge
	}
	m := message.Parse(original)
	if len(m.Fields) == 0 || original[0] == ' ' || original[0] == '\t' {
		return nil, ErrNoHeader
	}
	return m, nil
}

// oneAddress reads an option that is one address, with or without a display name.
func oneAddress(option, text string) (policy.Address, error) {
	list, err := message.Addresses(text)
	switch {
	case err != nil:
		return policy.Address{}, fmt.Errorf("%w: %s: %w", ErrOption, option, err)
	case len(list) != 1:
		return policy.Address{}, fmt.Errorf("%w: %s: %d addresses in %q, and not one", ErrOption, option, len(list), text)
	case len(list[0].Addr) > maxAddress:
		return policy.Address{}, fmt.Errorf("%w: %s: an address of more than %d octets", ErrOption, option, maxAddress)
	}
	a := list[0]
	a.Name = strings.TrimSpace(a.Name)
	if clean(a.Addr) != a.Addr || clean(a.Name) != a.Name {
		return policy.Address{}, fmt.Errorf("%w: %s: control characters, or no UTF-8, in %q", ErrOption, option, text)
	}
	if !isAuthor(a.Addr) {
		return policy.Address{}, fmt.Errorf("%w: %s: the domain of %q is none", ErrOption, option, a.Addr)
	}
	return a, nil
}

// isAuthor reports whether From can have an address.
func isAuthor(addr string) bool {
	h := message.Parse([]byte("From: <" + addr + ">\r\n\r\n")).Header()
	return !slices.ContainsFunc(h.Problems, func(p policy.Problem) bool { return p.Code == message.FromDomain })
}

// cut returns both sides of an address.
func cut(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	return addr[:max(i, 0)], addr[i+1:]
}

// seed is what identifiers are made of: a hash of the original and the options,
// so that they are the same on every run, and differ for all that differs.
type seed [sha256.Size]byte

func newSeed(pieces ...string) seed {
	h := sha256.New()
	for _, s := range pieces {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return seed(h.Sum(nil))
}

// hex returns n hexadecimal digits, up to 64, which differ by what they are for.
func (s seed) hex(use string, n int) string {
	sum := sha256.Sum256(append(s[:], use...))
	return hex.EncodeToString(sum[:])[:n]
}

// digits returns n decimal digits, up to 32, the first of which is not 0.
func (s seed) digits(use string, n int) string {
	sum := sha256.Sum256(append(s[:], use...))
	out := make([]byte, n)
	for i := range out {
		out[i] = '0' + sum[i]%10
	}
	if n > 0 && out[0] == '0' {
		out[0] = '1'
	}
	return string(out)
}

// letters returns n letters in lower case, up to 32.
func (s seed) letters(use string, n int) string {
	sum := sha256.Sum256(append(s[:], use...))
	out := make([]byte, n)
	for i := range out {
		out[i] = 'a' + sum[i]%26
	}
	return string(out)
}

// uuid returns a UUID of version 4 (RFC 9562 5.4), in lower case.
func (s seed) uuid(use string) string {
	b := s.hex(use, 32)
	return b[:8] + "-" + b[8:12] + "-4" + b[13:16] + "-a" + b[17:20] + "-" + b[20:]
}
