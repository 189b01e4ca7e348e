// Package dnszone is the DNS that a world's mail is judged by: zone text with
// faults, and a resolver over it that remembers what it was asked.
//
// A zone is written in master file format (RFC 1035 5.1), with names relative
// to the root, so that "shop.example" and "shop.example." are the same, and
// with the pseudo record FAULT:
//
//	shop.example.          TXT   "v=spf1 ip4:192.0.2.10 -all"
//	_dmarc.shop.example.   FAULT servfail     ; every question
//	s1._domainkey.shop.example. FAULT timeout TXT ; only this type
//	slow.example.          FAULT slow 3s      ; the answer comes, later
//
// The package speaks no DNS protocol and opens no socket. Without an upstream
// nothing leaves the process: a name that is not in the zone does not exist,
// localhost included.
package dnszone

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// maxChase is how many CNAME records are followed. RFC 1034 gives no number; 8
// is what BIND and Unbound stop near.
const maxChase = 8

// maxSet is how many records one name may have of one type. An answer that
// fits into a DNS message has few more.
const maxSet = 1000

var (
	errName  = errors.New("not a domain name")
	errAddr  = errors.New("not an address")
	errAlias = errors.New("the name has a CNAME")
	errFull  = errors.New("the name has too many records of the type")
)

// Zone holds records and faults. It is safe for concurrent use.
type Zone struct {
	mu sync.RWMutex
	// nodes are by normalised name. The ancestors of every name are in it too:
	// they exist even without records (RFC 4592 2.2.2).
	nodes map[string]*node
}

// node is one name.
type node struct {
	sets     map[string]*rrset // By type; a set is never changed once it is here.
	faults   map[string]fault  // By type; "" is any.
	wildcard *node             // The child "*".
	children int
}

// known reports whether the zone says anything of the name itself.
func (n *node) known() bool { return len(n.sets) > 0 || len(n.faults) > 0 }

// rrset is the records of one name and type, ready for an answer.
type rrset struct {
	records []record
	text    string // As zone text, without name and type, one record a line.
}

// New returns an empty zone.
func New() *Zone { return &Zone{nodes: map[string]*node{}} }

// AddTXT adds a TXT record. The text may have any length. As for the other
// methods that add, the error is that of a name that is no domain name, has a
// CNAME, or has a thousand records already.
func (z *Zone) AddTXT(name, text string) error { return z.add(name, txtRecord(text)) }

// SetTXT replaces all TXT records of a name by one.
func (z *Zone) SetTXT(name, text string) error {
	key, ok := normalise(name)
	if !ok {
		return fmt.Errorf("%w: %q", errName, name)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	n := z.node(key)
	if n.sets[typeCNAME] != nil {
		return fmt.Errorf("%w: %q", errAlias, name)
	}
	delete(n.sets, typeTXT)
	n.put(txtRecord(text))
	return nil
}

// AddA adds an A or, for an IPv6 address, an AAAA record.
func (z *Zone) AddA(name string, addr netip.Addr) error {
	if !addr.IsValid() {
		return fmt.Errorf("%w: %v", errAddr, addr)
	}
	return z.add(name, addrRecord(addr))
}

// AddMX adds an MX record.
func (z *Zone) AddMX(name string, preference uint16, host string) error {
	return z.add(name, mxRecord(preference, host))
}

// AddPTR adds the PTR record that leads from an address to a name.
func (z *Zone) AddPTR(addr netip.Addr, name string) error {
	if !addr.IsValid() {
		return fmt.Errorf("%w: %v", errAddr, addr)
	}
	return z.add(reverseName(addr), hostRecord(typePTR, name))
}

func (z *Zone) add(name string, rec record) error {
	key, ok := normalise(name)
	if !ok {
		return fmt.Errorf("%w: %q", errName, name)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	n := z.node(key)
	if n.sets[typeCNAME] != nil {
		return fmt.Errorf("%w: %q", errAlias, name)
	}
	if set := n.sets[rec.typ]; set != nil && len(set.records) == maxSet {
		return fmt.Errorf("%w: %q %s", errFull, name, rec.typ)
	}
	n.put(rec)
	return nil
}

// ClearFaults removes the faults of a name; its records stay.
func (z *Zone) ClearFaults(name string) {
	key, _ := normalise(name)
	z.mu.Lock()
	defer z.mu.Unlock()
	if n := z.nodes[key]; n != nil {
		n.faults = nil
		z.prune(key)
	}
}

// node returns the node of a name; it makes it and its ancestors if need be.
func (z *Zone) node(key string) *node {
	if n := z.nodes[key]; n != nil {
		return n
	}
	n := &node{sets: map[string]*rrset{}, faults: map[string]fault{}}
	z.nodes[key] = n
	if key != "" {
		p := z.node(parent(key))
		p.children++
		if strings.HasPrefix(key, "*.") || key == "*" {
			p.wildcard = n
		}
	}
	return n
}

// prune removes a name that nothing is left of, so that it does not exist any
// more, and its ancestors likewise.
func (z *Zone) prune(key string) {
	for key != "" {
		n := z.nodes[key]
		if n.known() || n.children > 0 {
			return
		}
		delete(z.nodes, key)
		up := parent(key)
		p := z.nodes[up]
		p.children--
		if p.wildcard == n {
			p.wildcard = nil
		}
		key = up
	}
}

// put adds a record. One that is there already is not added again: a record
// set is a set (RFC 2181 5).
func (n *node) put(rec record) {
	var records []record
	if old := n.sets[rec.typ]; old != nil {
		if slices.ContainsFunc(old.records, func(r record) bool { return r.rdata == rec.rdata }) {
			return
		}
		records = slices.Clone(old.records)
	}
	records = append(records, rec)
	slices.SortStableFunc(records, func(a, b record) int { return int(a.preference) - int(b.preference) })
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = r.rdata
	}
	n.sets[rec.typ] = &rrset{records: records, text: strings.Join(lines, "\n")}
}

// match returns the node that answers for a name: its own, or the wildcard of
// its closest encloser (RFC 4592 3.3.1); nil if the name does not exist.
func (z *Zone) match(key string) *node {
	if n := z.nodes[key]; n != nil {
		return n
	}
	for key != "" {
		key = parent(key)
		if n := z.nodes[key]; n != nil {
			return n.wildcard
		}
	}
	return nil
}
