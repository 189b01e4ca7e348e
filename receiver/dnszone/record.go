package dnszone

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// The types that have records. NS and SOA answer no question that the package
// can be asked; they make their name exist.
const (
	typeA     = "A"
	typeAAAA  = "AAAA"
	typeTXT   = "TXT"
	typeMX    = "MX"
	typeCNAME = "CNAME"
	typePTR   = "PTR"
	typeNS    = "NS"
	typeSOA   = "SOA"
	typeFault = "FAULT"
)

// recordTypes are the words that may stand as a type, in the order in which an
// error lists them.
var recordTypes = []string{typeA, typeAAAA, typeTXT, typeMX, typeCNAME, typePTR, typeNS, typeSOA, typeFault}

// askedTypes are the types that a question may have.
var askedTypes = []string{typeA, typeAAAA, typeTXT, typeMX, typePTR}

// record is one record without its name.
type record struct {
	typ        string
	rdata      string     // As zone text.
	text       string     // TXT: the strings, joined.
	addr       netip.Addr // A, AAAA.
	host       string     // MX, CNAME, PTR: with final dot, as net.Resolver has it.
	preference uint16     // MX.
}

func txtRecord(text string) record {
	return record{typ: typeTXT, text: text, rdata: quote(text)}
}

func addrRecord(addr netip.Addr) record {
	addr = addr.Unmap().WithZone("")
	typ := typeA
	if addr.Is6() {
		typ = typeAAAA
	}
	return record{typ: typ, addr: addr, rdata: addr.String()}
}

func hostRecord(typ, host string) record {
	host = dns.Fqdn(host)
	return record{typ: typ, host: host, rdata: host}
}

func mxRecord(preference uint16, host string) record {
	host = dns.Fqdn(host)
	return record{typ: typeMX, host: host, preference: preference, rdata: strconv.Itoa(int(preference)) + " " + host}
}

// readRecord reads one record's data. The line is a whole record on one line.
// Names in it are relative to origin.
func readRecord(line, origin string) (record, error) {
	p := dns.NewZoneParser(strings.NewReader(line+"\n"), origin+".", "")
	p.SetDefaultTTL(0)
	rr, ok := p.Next()
	if err := p.Err(); err != nil {
		return record{}, err
	}
	if !ok {
		return record{}, fmt.Errorf("no data")
	}
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ := netip.AddrFromSlice(rr.A)
		return addrRecord(addr), nil
	case *dns.AAAA:
		addr, _ := netip.AddrFromSlice(rr.AAAA.To16())
		// An IPv4-mapped address is an IPv6 address here.
		return record{typ: typeAAAA, addr: addr, rdata: addr.String()}, nil
	case *dns.TXT:
		var text strings.Builder
		for _, s := range rr.Txt {
			text.WriteString(unescape(s))
		}
		return txtRecord(text.String()), nil
	case *dns.MX:
		return mxRecord(rr.Preference, rr.Mx), nil
	case *dns.CNAME:
		return hostRecord(typeCNAME, rr.Target), nil
	case *dns.PTR:
		return hostRecord(typePTR, rr.Ptr), nil
	case *dns.NS:
		return hostRecord(typeNS, rr.Ns), nil
	}
	data := strings.TrimPrefix(rr.String(), rr.Header().String())
	return record{typ: dns.TypeToString[rr.Header().Rrtype], rdata: data}, nil
}

// unescape decodes the escapes of a character string (RFC 1035 5.1).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 10, 8); err == nil {
				b = append(b, byte(n))
				i += 3
				continue
			}
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

// quote writes a text as a character string that Load reads back.
func quote(s string) string {
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = fmt.Appendf(b, `\%03d`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
