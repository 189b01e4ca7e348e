// Package policy decides what the simulated provider does with one message,
// with each action in it, and with a click on one.
//
// It is pure. It is handed evidence and answers with a verdict: one finding
// per check, with a stable reason code and the facts that were looked at. It
// reads no clock, opens nothing, keeps nothing, and never fails: what cannot
// be decided is an answer too. How evidence is obtained is other packages'
// business; the words for it are declared here, because everything else may
// speak about them.
package policy
