// Package smdpsim is a test SM-DP+ with state: ES9+ of SGP.22 version 2 over
// HTTP, download orders with their counters, a check of every signature and
// certificate of an eUICC, binding of any SAIP profile package, receipt of
// notifications, and faults on command. It is an independent reading of the
// specification: it shares no message code with linefit's LPA.
//
// # Orders
//
// An [Order] is a profile package with a matching id and the rules for its
// download. Its [State] follows SGP.22 section 3.1.6:
//
//	available  --Release-->             released
//	released   --package delivered-->   downloaded (each delivery is one attempt)
//	downloaded --package delivered-->   downloaded (same eUICC only)
//	any        --signed success-->      installed
//	downloaded --error but 10 and 11--> error
//	released, downloaded --cancelled, reason not 1 or 2--> error
//	released, downloaded --expired, attempts or codes used up--> error
//	installed  --signed deletion-->     unavailable, or released when reusable
//	error      --Reset-->               released
//	all but installed --Withdraw-->     unavailable
//
// The first delivery links the order to its eUICC. A second delivery repeats
// the protected profile when the eUICC kept its one-time key, else it is bound
// anew. Refusals carry the subject and reason codes of SGP.22 ([Status]) and,
// unless the table says so, change nothing.
//
// # Durability
//
// With [Config].State every change is in the file before its reply is sent; the
// file is not flushed, so it outlives a killed process but not a power cut.
// What a restart finds is what the last reply promised or one step more, the
// reply of which was lost. One process owns the file ([ErrBusy]). It holds
// matching ids, confirmation codes and one-time keys in clear and is readable
// by its owner only; nothing else that this package prints shows them.
//
// # Batches
//
// [Server.Prepare] is the SM-DPf of in-factory provisioning (SGP.41): it binds
// profiles to one-time keys that eUICCs were made with and writes them as a
// signed [Batch]; each package is an order that counts as delivered. A key is
// used once. The installation results come back as notifications.
//
// # Faults, time and accounting
//
// [Config] has callbacks: Fault draws what goes wrong with a request, before
// or after it took effect; Delay models the server's time and Charge is told
// of it by EID; Observe sees every request. [Server.Orders],
// [Server.Notifications] and [Server.Devices] are the server's own account of
// what a line consumed.
//
// # Ownership
//
// [Server.Serve] serves TLS on a listener until its ctx ends and takes all its
// goroutines along. [Server.RoundTripper] is the way in without a socket, in
// the caller's goroutine: inside a testing/synctest bubble modelled time then
// costs nothing. [Server.Close] gives the state file back.
//
// # Limits
//
// A request has at most [MaxBody] bytes, a package [MaxPackage]. P-256 only. No
// ES2+, no SM-DS, no RPM, no CRLs; the server's certificates are test
// certificates (testpki) and never come near production.
//
// # Example
//
//	ca, _ := testpki.New(nil)
//	pki, _ := ca.Server()
//	s, err := smdpsim.New(smdpsim.Config{Address: "smdp.example.com", PKI: pki})
//	info, err := s.AddOrder(smdpsim.Order{
//		MatchingID: smdpsim.NewMatchingID(),
//		Generic:    &smdpsim.Generic{ICCID: iccid, IMSI: imsi, Name: "demo"},
//	})
//	code, _, err := s.ActivationCode(info.ID)
//	client := &http.Client{Transport: s.RoundTripper()}
package smdpsim
