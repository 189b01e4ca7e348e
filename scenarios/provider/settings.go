package provider

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/registry"
)

// Settings are what a user has set up in an account. What is empty leaves the
// account as it is.
type Settings struct {
	// SendAs are addresses elsewhere that the user has proved she may send mail
	// as. Mail forwarded from these keeps its actions.
	SendAs []string
	// POPFrom are addresses elsewhere whose mail the account fetches by POP;
	// see POPSource for how.
	POPFrom []string
	// Forward is where the account forwards its mail to.
	Forward string
	// Password lets mail programs read the account by IMAP and POP3. Without
	// one, none can.
	Password string
	// State says whether the account can get mail; empty leaves it as it is.
	State policy.AccountState
}

// account is a mailbox, its settings, and what is under way in them.
type account struct {
	policy.Account // Its slices are never changed, only replaced.
	forward        string
	password       string
	confirmations  map[string]*confirmation // By the address that is to be confirmed.
}

// AddAccount makes an account at the provider of its domain. One that is there
// already stays as it is.
func (w *World) AddAccount(address string) error { return w.Configure(address, Settings{}) }

// Configure makes an account, unless it is there, and adds to its settings.
func (w *World) Configure(address string, s Settings) error {
	local, domain, ok := cutLast(address, '@')
	if !ok || local == "" {
		return fmt.Errorf("account %q has no local part and domain", address)
	}
	p, ok := w.Provider(domain)
	if !ok {
		return fmt.Errorf("account %q is not of the provider's domain %s", address, w.Providers()[0].domain)
	}
	name := strings.ToLower(local) + "@" + p.domain
	for _, other := range slices.Concat(s.SendAs, s.POPFrom, []string{cmp.Or(s.Forward, name)}) {
		if _, err := registry.ParseAddress(other); err != nil {
			return fmt.Errorf("account %q: %w", address, err)
		}
	}
	if toLocal, toDomain, _ := cutLast(normal(s.Forward), '@'); toDomain == p.domain && withoutTag(toLocal) == withoutTag(strings.ToLower(local)) {
		return fmt.Errorf("account %q cannot forward to itself", address)
	}
	w.mu.Lock()
	a := w.accounts[name]
	if a == nil {
		a = &account{Account: policy.Account{Address: name}, confirmations: map[string]*confirmation{}}
		w.accounts[name] = a
	}
	for _, to := range s.SendAs {
		a.setSendAs(to, true)
	}
	var fresh []string
	for _, from := range s.POPFrom {
		if from = normal(from); !slices.Contains(a.POPFrom, from) {
			a.POPFrom = append(slices.Clone(a.POPFrom), from)
			fresh = append(fresh, from)
		}
	}
	a.State = cmp.Or(s.State, a.State)
	a.forward, a.password = cmp.Or(normal(s.Forward), a.forward), cmp.Or(s.Password, a.password)
	w.mu.Unlock()
	for _, from := range fresh {
		w.schedule(name, from)
	}
	return nil
}

// normal makes addresses comparable: lower case, and domains in A-labels.
func normal(address string) string {
	if known, err := registry.ParseAddress(address); err == nil {
		address = known
	}
	return strings.ToLower(address)
}

// withoutTag cuts off what follows a "+" in a local part: at the provider it is
// the same mailbox.
func withoutTag(local string) string {
	if plus := strings.IndexByte(local, '+'); plus > 0 {
		return local[:plus]
	}
	return local
}

// setSendAs notes an address that the user wants to send as. The caller holds
// the world's lock.
func (a *account) setSendAs(address string, verified bool) {
	address = normal(address)
	list := slices.Clone(a.SendAs)
	i := slices.IndexFunc(list, func(s policy.SendAs) bool { return s.Address == address })
	if i < 0 {
		list = append(list, policy.SendAs{Address: address})
		i = len(list) - 1
	}
	list[i].Verified = list[i].Verified || verified
	a.SendAs = list
}

// Accounts returns the addresses of all accounts, sorted.
func (w *World) Accounts() []string {
	var list []string
	for _, a := range w.Mailboxes() {
		list = append(list, a.Address)
	}
	return list
}

// HasAccount reports whether mail to an address would get to an account.
func (p *Provider) HasAccount(address string) bool {
	_, ok := p.account(address)
	return ok
}

// Mailboxes returns all accounts, sorted by address.
func (w *World) Mailboxes() []policy.Account {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]policy.Account, 0, len(w.accounts))
	for _, a := range w.accounts {
		list = append(list, a.Account)
	}
	slices.SortFunc(list, func(a, b policy.Account) int { return strings.Compare(a.Address, b.Address) })
	return list
}

// named returns an account by its address. The caller holds the world's lock.
func (w *World) named(address string) (*account, error) {
	if a := w.accounts[normal(address)]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("there is no account %q", address)
}

// confirmation is a code that was sent to an address (gmail-inbound.md 4.d).
type confirmation struct {
	code    string
	expires time.Time
	tries   int // Wrong ones.
}

// Limits of confirmations. The real ones are not known.
const (
	confirmationTime  = 7 * 24 * time.Hour
	confirmationTries = 5
)

// errNoConfirmation and others are what can be wrong with a code.
var (
	errNoConfirmation = errors.New("no confirmation is under way; ask for one first")
	errWrongCode      = errors.New("the code is another one")
	errExpiredCode    = errors.New("the code has expired; ask for another one")
	errTooManyTries   = errors.New("there were too many wrong codes; ask for another one")
)

// ConfirmSendAs proves with a code that the user gets the mail of an address.
// A code works once, for a time, and bears few wrong tries.
func (w *World) ConfirmSendAs(account, address, code string) error {
	address = normal(address)
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.named(account)
	if err != nil {
		return err
	}
	c := a.confirmations[address]
	switch {
	case c == nil:
		err = errNoConfirmation
	case !w.clock.Now().Before(c.expires):
		err = errExpiredCode
	case c.tries >= confirmationTries:
		err = errTooManyTries
	case code != c.code:
		c.tries++
		err = errWrongCode
	}
	if err != nil {
		return fmt.Errorf("confirming that %s may send as %s: %w", a.Address, address, err)
	}
	delete(a.confirmations, address)
	a.setSendAs(address, true)
	return nil
}
