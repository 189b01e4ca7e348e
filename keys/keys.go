// Package keys makes and publishes the provider's signing keys and makes the
// bearer tokens they sign. It also has the certificate authority with which a
// provider serves HTTPS, and the proxy that answers in place of the hosts at
// which Google publishes its keys. All keys are for tests and worth nothing.
//
// It does not say which request carries a token, opens no listener, starts no
// goroutine but those of a Proxy that serves, and keeps nothing on disk.
// Private keys never leave the package and never reach a log: there is no way
// to read one.
package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The documented or, where nothing is documented, generally accepted values
// of a token (gmail-actions.md 3.1, 3.3).
const (
	DefaultIssuer          = "https://accounts.google.com"
	DefaultAuthorizedParty = "gmail@system.gserviceaccount.com"
	DefaultSubject         = "100000000000000000017" // Any stable number will do; this one is nobody's.
	DefaultLifetime        = time.Hour
	// DefaultMaxAge is how long a key document may be cached; Google's own
	// answers are of this order (libraries.md section 10).
	DefaultMaxAge = 19800 * time.Second
)

// The URLs that the discovery document names unless Options.Endpoints says
// otherwise (gmail-actions.md 3.4).
const (
	DefaultAuthorizationEndpoint = "https://accounts.google.com/o/oauth2/v2/auth"
	DefaultTokenEndpoint         = "https://oauth2.googleapis.com/token"
	DefaultJWKSURI               = "https://www.googleapis.com/oauth2/v3/certs"
)

const (
	// skew is how long after its end a verifier may still accept a token;
	// 300 s is the most that Google's libraries allow (gmail-actions.md 3.6).
	skew = 5 * time.Minute
	// maxPublished bounds how many keys automatic rotation may leave
	// published at once; each costs a key generation of some 60 ms.
	maxPublished = 100
)

// Endpoints are the URLs in the discovery document. The first two are there
// because OpenID Connect Discovery 1.0 section 3 demands them; the provider
// does not serve them.
type Endpoints struct {
	Authorization string // Default DefaultAuthorizationEndpoint.
	Token         string // Default DefaultTokenEndpoint.
	JWKS          string // Default DefaultJWKSURI.
}

// Options are the settings of a key set. All but Now may be left zero.
type Options struct {
	// Now is the provider's clock. It is called from any goroutine.
	Now func() time.Time

	Issuer          string        // iss; default DefaultIssuer.
	AuthorizedParty string        // azp and email; default DefaultAuthorizedParty.
	Subject         string        // sub; default DefaultSubject.
	Lifetime        time.Duration // exp less iat; default DefaultLifetime.

	// MaxAge is how long a key document may be cached, in whole seconds;
	// default DefaultMaxAge. Some verifiers ignore it and cache for an hour
	// (gmail-actions.md 3.6), so a shorter one helps only the others.
	MaxAge time.Duration
	// RotateEvery is the time between automatic rotations, at least MaxAge.
	// Zero means that only Rotate rotates.
	RotateEvery time.Duration
	// Overlap is how long a retired key stays published, at least Lifetime.
	// The default is Lifetime + 5 min + MaxAge: a token made in the last
	// moment of its key must be verifiable until it expires, by verifiers that
	// grant up to 5 min of skew; MaxAge more keeps the removal of a key well
	// apart from the end of its last token.
	Overlap time.Duration

	Endpoints Endpoints // The URLs in the discovery document.
}

// Set is the key set of one provider: the key that signs, the one that will
// sign next, and retired ones whose tokens may still be in use. It is safe for
// concurrent use.
//
// Keys are made when they are first needed, so making a Set costs nothing.
type Set struct {
	opts Options

	stranger        key          // Of nobody whose tokens a service may accept.
	strangerFetches atomic.Int64 // How often its published forms were asked for.

	mu        sync.Mutex // Guards what follows; never held while a key is made.
	times     schedule
	keys      map[int]*key // By number; only published ones.
	withdrawn *key         // The last one that was made and is no longer among them.
}

// New returns a key set. The error names every setting that is wrong.
func New(o Options) (*Set, error) {
	if o.Now == nil {
		return nil, errors.New("keys: no clock")
	}
	o.Issuer = withDefault(o.Issuer, DefaultIssuer)
	o.AuthorizedParty = withDefault(o.AuthorizedParty, DefaultAuthorizedParty)
	o.Subject = withDefault(o.Subject, DefaultSubject)
	o.Lifetime = withDefault(o.Lifetime, DefaultLifetime)
	o.MaxAge = withDefault(o.MaxAge, DefaultMaxAge)
	o.Endpoints.Authorization = withDefault(o.Endpoints.Authorization, DefaultAuthorizationEndpoint)
	o.Endpoints.Token = withDefault(o.Endpoints.Token, DefaultTokenEndpoint)
	o.Endpoints.JWKS = withDefault(o.Endpoints.JWKS, DefaultJWKSURI)
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Set{
		opts:      o,
		times:     newSchedule(o.times(), o.Now()),
		keys:      make(map[int]*key),
		withdrawn: new(key),
	}, nil
}

func (o Options) check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("keys: "+format, args...))
	}
	if o.Lifetime < time.Second {
		bad("lifetime %v is shorter than a second", o.Lifetime)
	}
	if o.MaxAge < time.Second || o.MaxAge%time.Second != 0 {
		bad("max-age %v is not a positive number of whole seconds", o.MaxAge)
	}
	overlap := o.overlap()
	if overlap < o.Lifetime {
		bad("overlap %v is shorter than the lifetime %v of a token", overlap, o.Lifetime)
	}
	if o.RotateEvery != 0 && o.RotateEvery < o.MaxAge {
		bad("rotation every %v is more frequent than caches refetch, every %v", o.RotateEvery, o.MaxAge)
	}
	if o.RotateEvery > 0 && overlap/o.RotateEvery > maxPublished {
		bad("rotation every %v with an overlap of %v leaves more than %d keys published", o.RotateEvery, overlap, maxPublished)
	}
	return errors.Join(errs...)
}

func withDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Warm makes the current and the next key in the caller's goroutine, if they
// have not been made yet. It takes some 60 ms a key; ctx is looked at between
// keys.
func (s *Set) Warm(ctx context.Context) error {
	view := s.view()
	for _, k := range []*key{view.current, view.next} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := k.material(); err != nil {
			return err
		}
	}
	return nil
}

// KeyState is the place of a key in its life.
type KeyState string

// The states of a published key.
const (
	KeyCurrent KeyState = "current" // It signs.
	KeyNext    KeyState = "next"    // It will sign after the next rotation.
	KeyRetired KeyState = "retired" // It signs no more; its tokens may live.
)

// Key describes a published key.
type Key struct {
	// ID is the kid: the SHA-1 digest of the key's certificate in lower-case
	// hexadecimal, which has the look of Google's. It is a name; nothing
	// rests on the strength of the digest.
	ID    string   `json:"kid"`
	State KeyState `json:"state"`
	// Until is when a retired key is withdrawn, by the provider's clock.
	Until time.Time `json:"until,omitzero"`
	// Certificate is the self-signed X.509 certificate of the key in PEM.
	Certificate string `json:"certificate"`
}

// Keys returns the published keys: current, next, then retired ones, the
// latest first. It makes those that have not been made yet.
func (s *Set) Keys() ([]Key, error) {
	var list []Key
	for _, p := range s.view().published() {
		m, err := p.key.material()
		if err != nil {
			return nil, err
		}
		list = append(list, Key{ID: m.id, State: p.state, Until: p.until, Certificate: m.certificate})
	}
	return list, nil
}

// view is what holds at one moment of the provider's clock.
type view struct {
	times
	now           time.Time
	age           time.Duration // Of the key documents.
	current, next *key
	retired       []published // The latest first.
	withdrawn     *key
}

type published struct {
	key   *key
	state KeyState
	until time.Time // Of a retired one: when it is withdrawn.
}

func (v view) published() []published {
	return append([]published{{key: v.current, state: KeyCurrent}, {key: v.next, state: KeyNext}}, v.retired...)
}

// view brings the set up to the provider's clock and says what holds now.
func (s *Set) view() view { return s.viewFor((*schedule).advance) }

// signing is view for one who signs with the current key.
func (s *Set) signing() view { return s.viewFor((*schedule).sign) }

// serving is view for one who publishes a document that may be cached.
func (s *Set) serving() view { return s.viewFor((*schedule).serve) }

func (s *Set) viewFor(use func(*schedule, time.Time)) view {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	use(&s.times, now)
	keep := make(map[int]*key)
	get := func(number int) *key {
		if s.keys[number] == nil {
			s.keys[number] = new(key)
		}
		keep[number] = s.keys[number]
		return keep[number]
	}
	v := view{times: s.times.times, now: now, age: s.times.age(now), current: get(s.times.current), next: get(s.times.current + 1)}
	for i := len(s.times.retired) - 1; i >= 0; i-- {
		r := s.times.retired[i]
		v.retired = append(v.retired, published{get(r.number), KeyRetired, r.until})
	}
	for _, number := range slices.Sorted(maps.Keys(s.keys)) {
		if k := s.keys[number]; keep[number] == nil && k.knownID() != "" {
			s.withdrawn = k
		}
	}
	s.keys, v.withdrawn = keep, s.withdrawn
	return v
}

// String names the set by the ids of the keys made so far.
func (s *Set) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for number := s.times.oldest(); number <= s.times.current+1; number++ {
		if id := s.keys[number].knownID(); id != "" {
			ids = append(ids, id)
		}
	}
	return "keys.Set[" + strings.Join(ids, " ") + "]"
}

// GoString is String, so that %#v prints no more.
func (s *Set) GoString() string { return s.String() }

// LogValue is String, so that a log gets no more.
func (s *Set) LogValue() slog.Value { return slog.StringValue(s.String()) }
