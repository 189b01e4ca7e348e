package scenarios

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/doppelbox/doppelbox/policy/registry"
)

// Form is what a value looks like.
type Form string

// The forms.
const (
	FormText        Form = "text"         // Anything.
	FormWord        Form = "word"         // Anything but blanks and control characters.
	FormAddress     Form = "address"      // local@domain.
	FormReversePath Form = "reverse-path" // An address, or <> for the null reverse-path (RFC 5321 4.5.5).
	FormDomain      Form = "domain"
	FormSender      Form = "sender" // An address or a domain.
	FormAUID        Form = "auid"   // An address whose local part may be empty (RFC 6376 3.5, i=).
	FormURL         Form = "url"    // Absolute, http or https, without user and fragment.
	FormDuration    Form = "duration"
	FormTime        Form = "time"    // RFC 3339.
	FormDate        Form = "date"    // A time, or only its date.
	FormInteger     Form = "integer" // From 0.
	FormStatus      Form = "status"  // Of a final HTTP answer: 200 to 599.
	FormIP          Form = "ip"
	FormPrefix      Form = "cidr" // Or an IP address, which is a network of its own.
	FormAddrPort    Form = "addr-port"
	FormHeaderField Form = "header-field" // Name and value with a colon between them.
	FormFieldNames  Form = "field-names"  // Names with colons between them.
	FormPath        Form = "path"         // Names with dots between them.
	FormSection     Form = "section"      // The name of a section.
)

// fieldName is a token (RFC 9110 5.6.2), which the field names of mail that
// are in use are too.
var fieldName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// maxIndex bounds FormInteger: nothing is counted that far.
const maxIndex = 1_000_000

// checkForm says what is wrong with a value, nil if nothing is. Sections are
// not its business.
func checkForm(form Form, value string) error {
	switch form {
	case FormWord:
		if value == "" || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return fmt.Errorf("%q is empty or has a blank in it", value)
		}
		return nil
	case FormAddress, FormReversePath, FormDomain, FormSender, FormAUID:
		return checkName(form, value)
	case FormDuration, FormTime, FormDate:
		return checkTime(form, value)
	case FormInteger:
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > maxIndex || strconv.Itoa(n) != value {
			return fmt.Errorf("%q is not a whole number from 0", value)
		}
		return nil
	case FormStatus:
		if n, err := strconv.Atoi(value); err != nil || n < 200 || n > 599 || len(value) != 3 {
			return fmt.Errorf("%q is not an HTTP status from 200 to 599", value)
		}
		return nil
	case FormPath:
		for name := range strings.SplitSeq(value, ".") {
			if !fieldName.MatchString(name) {
				return fmt.Errorf("%q is not a path: names with dots between them", value)
			}
		}
		return nil
	case FormURL, FormIP, FormPrefix, FormAddrPort, FormHeaderField, FormFieldNames:
		return checkNetwork(form, value)
	}
	return nil
}

// checkName checks the forms of mail names.
func checkName(form Form, value string) error {
	local, domain, isAddress := strings.Cut(value, "@")
	var err error
	switch {
	case form == FormReversePath && value == "<>":
	case form == FormReversePath && value == "":
		err = errors.New("the null reverse-path is written <>")
	case form == FormDomain || form == FormSender && !isAddress || form == FormAUID && isAddress && local == "":
		if form == FormAUID {
			value = domain
		}
		_, err = registry.ParseDomain(value)
	default:
		_, err = registry.ParseAddress(value)
	}
	return err
}

func checkTime(form Form, value string) error {
	if form == FormDuration {
		if d, err := time.ParseDuration(value); err != nil || d <= 0 {
			return fmt.Errorf("%q is not a duration such as 90s, 10m or 1h30m", value)
		}
		return nil
	}
	if _, err := time.Parse(time.RFC3339, value); err == nil {
		return nil
	}
	if form == FormTime {
		return fmt.Errorf("%q is not a time such as 2026-01-15T09:00:00Z", value)
	}
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		return fmt.Errorf("%q is not a date or a time such as 2026-01-15T09:00:00Z", value)
	}
	return nil
}

// checkNetwork checks the forms of networks and HTTP.
func checkNetwork(form Form, value string) error {
	switch form {
	case FormURL:
		return checkURL(value)
	case FormIP:
		if addr, err := netip.ParseAddr(value); err != nil || addr.Zone() != "" {
			return fmt.Errorf("%q is not an IP address", value)
		}
	case FormPrefix:
		_, err := netip.ParsePrefix(value)
		if addr, addrErr := netip.ParseAddr(value); err != nil && (addrErr != nil || addr.Zone() != "") {
			return fmt.Errorf("%q is not a network such as 127.0.0.0/8, nor an IP address", value)
		}
	case FormAddrPort:
		if a, err := netip.ParseAddrPort(value); err != nil || a.Port() == 0 {
			return fmt.Errorf("%q is not an IP address and port such as 127.0.0.1:8443", value)
		}
	case FormHeaderField:
		name, text, ok := strings.Cut(value, ":")
		if !ok || !fieldName.MatchString(name) || strings.ContainsFunc(text, isFieldBreak) {
			return fmt.Errorf("%q is not a header field such as \"Retry-After: 5\"", value)
		}
	case FormFieldNames:
		for name := range strings.SplitSeq(value, ":") {
			if !fieldName.MatchString(name) {
				return fmt.Errorf("%q is not a list of header fields such as from:to:subject", value)
			}
		}
	}
	return nil
}

// isFieldBreak tells what a field value must not hold (RFC 9110 5.5).
func isFieldBreak(r rune) bool { return r == '\r' || r == '\n' || r == 0 }

func checkURL(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is not an absolute URL of http or https", value)
	}
	if u.User != nil || u.Fragment != "" {
		return fmt.Errorf("URL %q has a user or a fragment", value)
	}
	return nil
}
