// Package rsp is the local profile assistant (LPA): the client of an SM-DP+
// (ES9+ of SGP.22 section 5.6), the download of a profile to an eUICC, what to
// do after an interruption, and the delivery of notifications.
//
// # The download
//
// [Download] is one sequential function. Nothing jumps into the middle of a
// session, and a session is never continued after an interruption. What cannot
// be taken back is recorded before it happens ([Recorder], [Phase]):
//
//	card    GetEUICCInfo1, GetEUICCChallenge
//	server  initiateAuthentication          beside it: profiles, notifications
//	card    AuthenticateServer              signed EUICCInfo2: memory
//	server  authenticateClient              beside it: the eUICC's certificates
//	checks  ICCID, policy rules, consent, confirmation code
//	card    PrepareDownload
//	record  get-package
//	server  getBoundProfilePackage
//	keep    the package
//	record  load
//	card    every segment, until the first installation result
//	keep    the result
//	server  handleNotification
//	record  remove-notification
//	card    NotificationSent
//
// The number of get-package intents is the number of attempts that the SM-DP+
// may have counted. After the first block of a load nothing is sent again and
// nothing is cancelled. Before it, a session that ends for a local reason is
// cancelled with a reason that leaves the order alive (postponed, timeout).
//
// # After an interruption
//
// When [Failure.Unknown] is set, or the station itself died, the caller opens a
// new channel (which ends what the eUICC had half done) and calls [Reconcile]
// with the last recorded phase and detail. It reads and changes nothing, and
// says Absent, Installed or Unknown. Only after Absent may the code be used
// again, as its [Advice] says.
//
// # The failure table
//
// Every [*Failure] and [Reconciliation] has a [Row] with an [Advice]: what
// becomes of the code, what to do next, whether the lot should stop.
//
//	1   network, TLS, server's configuration   code as before    retry; a refusal of the address stops the lot
//	2   certificates not accepted, either way  as before         fix; stops the lot when repeated
//	3a  another EID, matching id refused       hold              stop
//	3b  too many tries, expired                spent             operator
//	3c  not released, no room                  after a fix       fix
//	4   policy rules, ICCID there already      after a fix       postponed, fix
//	5   confirmation code                      after a fix       a person
//	6   PrepareDownload refused                as before         cancelled by timeout, retry
//	7   package lost on its way                one attempt less  new session
//	8   died before the first block            one attempt less  reconcile
//	9   AT error or timeout in a load          if absent         reconcile
//	10  power lost in a load                   if absent         reconcile
//	11  no memory, interrupted                 one attempt less  retry
//	12  ICCID exists                           spent             who was it
//	13  any other installation error           spent             stop
//	14  notification not delivered             installed         deliver it
//	15  notification not removed               installed         remove it
//	16  enable failed                          installed         reset, read back
//	17  state unclear after REFRESH            installed         read back
//	18  unit scrapped                          spent             delete, deliver
//	19  cancelled for good                     spent             order again
//	20  prepared package failed                spent             next package
//
// # Secrets
//
// Matching ids and confirmation codes are [Secret]; no error, trace or recorded
// detail has them, also where a server repeats them in its message. Bound
// packages are handed to KeepPackage and to the eUICC only.
//
// # Bounds
//
// A reply is at most [ClientConfig].MaxReply bytes, a package at most
// euicc.MaxPackage. Every call has its own deadline. Only initiateAuthentication
// and handleNotification are tried again, when no answer came. No redirects are
// followed. The only goroutine is a server call that runs beside reads of the
// card; it is gone when the function returns.
package rsp
