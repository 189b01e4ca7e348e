package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

// Arg is one key=value of a registration.
type Arg struct{ Key, Value string }

// ArgError is a mistake in one word of a registration.
type ArgError struct {
	Index  int  // Of the argument; -1 is the sender.
	InKey  bool // It is in the argument's key, not in its value.
	Offset int  // Where it begins, in octets from the start of the key or value.
	Msg    string
}

// The keys of a registration.
const (
	keyActions = "actions"
	keyBearer  = "bearer"
	keySince   = "since"
	keyUntil   = "until"
)

// keys returns every key.
func keys() []string { return []string{keyActions, keyBearer, keySince, keyUntil} }

// ActionTypes returns the action types that can be registered: those that the
// provider's documents name today or named once (gmail-actions.md 1.1, 1.4).
func ActionTypes() []string {
	return []string{
		"ConfirmAction", "SaveAction", "ViewAction", "TrackAction", "RsvpAction",
		"ReviewAction", "CancelAction", "CheckInAction", "UpdateAction", "EditAction",
	}
}

// ParseWords makes a registration of its words. From is an address or a
// domain; it is kept with its domain as A-label in lower case. The keys are
//
//   - actions: types, with commas between them; every type if absent;
//   - bearer: yes or no (the default);
//   - since, until: a time (RFC 3339) or a date, which is its midnight in UTC;
//     valid at since, no longer at until.
//
// All mistakes are returned; the registration is of use only without one.
func ParseWords(from string, args []Arg) (policy.Registration, []*ArgError) {
	w := words{index: -1}
	var err error
	if strings.Contains(from, "@") {
		w.reg.From, err = ParseAddress(from)
	} else {
		w.reg.From, err = ParseDomain(from)
	}
	if err != nil {
		w.errorf(0, "%v", err)
	}
	var seen []string
	for i, arg := range args {
		w.index = i
		if slices.Contains(seen, arg.Key) {
			w.keyErrorf("key %q is given twice", arg.Key)
			continue
		}
		seen = append(seen, arg.Key)
		w.set(arg)
	}
	if i := slices.Index(seen, keyUntil); i >= 0 && !w.reg.Until.IsZero() && !w.reg.Until.After(w.reg.Since) {
		w.index = slices.IndexFunc(args, func(a Arg) bool { return a.Key == keyUntil })
		w.errorf(0, "until has to be later than since")
	}
	return w.reg, w.errs
}

// words is a registration in the making.
type words struct {
	reg   policy.Registration
	index int // Of the argument being read.
	errs  []*ArgError
}

func (w *words) errorf(offset int, format string, args ...any) {
	w.errs = append(w.errs, &ArgError{Index: w.index, Offset: offset, Msg: fmt.Sprintf(format, args...)})
}

func (w *words) keyErrorf(format string, args ...any) {
	w.errs = append(w.errs, &ArgError{Index: w.index, InKey: true, Msg: fmt.Sprintf(format, args...)})
}

func (w *words) set(arg Arg) {
	switch arg.Key {
	case keyActions:
		w.setActions(arg.Value)
	case keyBearer:
		if arg.Value != "yes" && arg.Value != "no" {
			w.errorf(0, "bearer is yes or no, not %q", arg.Value)
		}
		w.reg.Bearer = arg.Value == "yes"
	case keySince:
		w.reg.Since = w.time(arg.Value)
	case keyUntil:
		w.reg.Until = w.time(arg.Value)
	default:
		w.keyErrorf("unknown key %q%s", arg.Key, policy.Suggest(arg.Key, keys()))
	}
}

func (w *words) setActions(list string) {
	offset := 0
	for name := range strings.SplitSeq(list, ",") {
		switch {
		case !slices.Contains(ActionTypes(), name):
			w.errorf(offset, "unknown action type %q%s", name, policy.Suggest(name, ActionTypes()))
		case slices.Contains(w.reg.Actions, name):
			w.errorf(offset, "action type %q is given twice", name)
		default:
			w.reg.Actions = append(w.reg.Actions, name)
		}
		offset += len(name) + len(",")
	}
}

func (w *words) time(text string) time.Time {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		w.errorf(0, "%q is not a date or a time such as 2026-01-15T09:00:00Z", text)
	}
	return t
}
