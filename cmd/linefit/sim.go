package main

// simCmd holds the virtual parts, one by one, for other programs to talk to.
type simCmd struct {
	Modules simModulesCmd `cmd:"" help:"Virtual cellular modules with eUICCs on pseudo terminals."`
	Card    simCardCmd    `cmd:"" help:"A virtual eUICC in a virtual reader, for programs that speak PC/SC."`
	Smdp    simSmdpCmd    `cmd:"" help:"A test SM-DP+ with order states over TLS."`
	Witness simWitnessCmd `cmd:"" help:"A test witness of audit logs (C2SP tlog-witness)."`
}
