package station

// ParamType is the type of a step parameter.
type ParamType string

// Parameter types.
const (
	ParamText     ParamType = "text"
	ParamInt      ParamType = "int"
	ParamDuration ParamType = "duration"
	ParamFlag     ParamType = "flag" // yes or no
	ParamList     ParamType = "list" // texts
	// ParamFiles are files that belong to the recipe, by path from its folder:
	// they are read with it and their content is part of its digest.
	ParamFiles ParamType = "files"
)

// Param describes a parameter of a step kind.
type Param struct {
	Name     string
	Type     ParamType
	Values   []string // allowed texts, where limited
	Required bool
	Doc      string
}

// Kind describes a step kind: what recipe lint checks and what station/steps
// implements; a test holds the two against each other.
type Kind struct {
	Name         string
	Doc          string
	Params       []Param
	Measures     []string // what limits may name
	Irreversible bool     // writes intents
	// Power says what the step needs: "on" with the module powered.
	Power string
}

// Names of the step kinds.
const (
	KindClamp     = "fixture.clamp"
	KindPower     = "fixture.power"
	KindBoot      = "module.boot"
	KindRadioOff  = "module.radio_off"
	KindAttach    = "module.attach"
	KindIdentify  = "module.identify"
	KindBind      = "unit.bind"
	KindEUICC     = "euicc.identify"
	KindPrecheck  = "euicc.precheck"
	KindReserve   = "profile.reserve"
	KindDownload  = "profile.download"
	KindNotify    = "notification.handover"
	KindEnable    = "profile.enable"
	KindRestart   = "unit.restart"
	KindReadback  = "profile.readback"
	KindShipState = "unit.ship_state"
	KindPowerDown = "module.power_down"
	KindDelete    = "profile.delete"
	KindLoad      = "profile.load"
	KindClose     = "factory.close"
	KindReset     = "euicc.reset"
	// SGP.32
	KindImmediate   = "euicc.immediate_enable"
	KindAddEIM      = "eim.add"
	KindEIMReadback = "eim.readback"
	// SGP.02
	KindBootstrap = "profile.bootstrap"
)

// Routes by which a profile is enabled, in [KindEnable]'s routes.
const (
	RouteES10c     = "es10c"            // ES10c EnableProfile: every SGP.22 eUICC, some of SGP.32
	RouteImmediate = "immediate_enable" // SGP.32 ImmediateEnable, in the session of the download
	RouteCarried   = "carried"          // a package that an eIM has signed for this eUICC, carried as a file
	RouteNone      = "none"             // the profile ships disabled
)

// Kinds lists every step kind.
func Kinds() []Kind {
	return []Kind{
		{Name: KindClamp, Doc: "Close the clamp and see the unit present."},
		{Name: KindPower, Doc: "Switch the unit's supply.", Params: []Param{
			{Name: "state", Type: ParamText, Values: []string{"on", "off"}, Required: true, Doc: "What to switch to."},
			{Name: "off", Type: ParamDuration, Doc: "With state on: time without power first, where the supply may have been on."},
		}},
		{Name: KindBoot, Power: "on", Doc: "Open the port and wait until the module answers.", Measures: []string{"boot_ms"}},
		{Name: KindRadioOff, Power: "on", Doc: "Switch the radio off and read it back, so that nothing attaches by accident."},
		{Name: KindAttach, Power: "on", Doc: "Switch the radio on and wait for registration; only for recipes with a connectivity test.", Measures: []string{"attach_ms", "registration"}},
		{Name: KindIdentify, Power: "on", Doc: "Read maker, model, firmware and IMEI.", Measures: []string{"maker", "model", "firmware", "imei", "tac"}},
		{Name: KindBind, Power: "on", Doc: "Show that the unit on the port is the unit that was scanned.", Params: []Param{
			{Name: "require", Type: ParamText, Values: []string{"identity", "scan", "none"}, Required: true,
				Doc: "identity: IMEI or EID are known from the pairing list or the label, and equal; scan: where they are not known, a slot label or a presence edge tied the scan to the slot; none: engineering only. What is known must be equal in every case."},
			{Name: "pairing", Type: ParamText, Values: []string{"required", "known", "off"}, Doc: "The module maker's list (linefit units import): required: the module stands on it; known (default): it does where there is a list; off: the list is not asked. One that another unit has used is held unless off."},
		}, Measures: []string{"bound_by"}},
		{Name: KindEUICC, Power: "on", Doc: "Open the eUICC; read EID, generation, platform and memory.", Params: []Param{
			{Name: "eum", Type: ParamList, Doc: "Beginnings of the EIDs of the eUICC makers that are expected here, 5 to 20 digits."},
		},
			Measures: []string{"eid", "eum", "generation", "svn", "euicc_firmware", "free_nvm", "sas", "pp_version", "iot_version", "ipa"}},
		{Name: KindPrecheck, Power: "on", Doc: "What can be known before money moves: EID, memory, trusted CI, leftovers.", Params: []Param{
			{Name: "profile_nvm", Type: ParamInt, Doc: "Memory that a profile needs, bytes."},
			{Name: "leftovers", Type: ParamText, Values: []string{"refuse", "allow"}, Doc: "Profiles that this station did not install: refuse holds the unit."},
			{Name: "notifications", Type: ParamText, Values: []string{"keep", "refuse"}, Doc: "Notifications that wait on the eUICC, of profiles that this station did not install. keep (default): they are taken over and delivered; refuse: the unit is held."},
			{Name: "ci", Type: ParamList, Doc: "Subject key identifiers of CIs of which the eUICC must trust one, hexadecimal."},
			{Name: "test_profiles", Type: ParamText, Values: []string{"refuse", "allow"}, Doc: "A test profile that is enabled: refuse (default) holds the unit."},
			{Name: "pprs", Type: ParamList, Doc: "Policy rules that the profile will have, 1 and 2: the eUICC's rules authorisation table must allow them to the owner."},
			{Name: "owner", Type: ParamText, Doc: "With pprs: the profile's owner, MCC-MNC such as 262-01."},
			{Name: "eim", Type: ParamText, Values: []string{"none", "delivered", "any"}, Doc: "SGP.32: eIMs with which the eUICC was delivered. none (default): such a unit is held; delivered: there must be one; any: as it is. Those that an earlier run of the unit added are no reason."},
			{Name: "ipa", Type: ParamList, Values: []string{IPADevice, IPAInEUICC, IPAInModule}, Doc: "SGP.32: where an IPA may be: device (default), euicc, module."},
		}, Measures: []string{"free_nvm", "profiles", "notifications", "eims"}},
		{Name: KindReserve, Doc: "Reserve a profile of the stock for this unit.", Params: []Param{
			{Name: "batch", Type: ParamText, Doc: "Only profiles of this batch."},
			{Name: "operator", Type: ParamText, Doc: "Only profiles of this operator."},
		}},
		{Name: KindDownload, Power: "on", Irreversible: true, Doc: "Download and install the reserved profile, or find out that it already is installed.", Params: []Param{
			{Name: "max_downloads", Type: ParamInt, Doc: "Bound package requests allowed for one code; the operator's cap where that is lower."},
			{Name: "capabilities", Type: ParamList, Doc: "Releases that the unit supports, told to the SM-DP+: gsm, utran, eutran, nr5gc, each with a version, such as \"eutran 15.0.0\"."},
		}, Measures: []string{"apdus", "round_trips", "bpp_bytes"}},
		{Name: KindLoad, Power: "on", Irreversible: true, Doc: "Load packages that were prepared for this very eUICC (SGP.41): no network, one try for each package and its one-time key, the signed results kept.", Params: []Param{
			{Name: "profiles", Type: ParamInt, Doc: "Profiles that the unit gets by this step; 1 where it is not said. Of several the first one is enabled and read back in its state."},
			{Name: "spares", Type: ParamInt, Doc: "Packages that may fail in one run before the step does: the next one of this eUICC is taken. 0 where it is not said."},
			{Name: "batch", Type: ParamText, Doc: "Only packages of this batch."},
			{Name: "operator", Type: ParamText, Doc: "Only profiles of this service provider."},
		}, Measures: []string{"profiles", "packages", "apdus", "bpp_bytes"}},
		{Name: KindClose, Power: "on", Irreversible: true, Doc: "End in-factory provisioning: delete the one-time keys that are left, read back that none is, and see LPA services work.",
			Measures: []string{"deleted", "one_time_keys", "lpa_before", "lpa_services"}},
		{Name: KindNotify, Power: "on", Irreversible: true, Doc: "Take the pending notifications into the outbox and deliver what the network allows.", Params: []Param{
			{Name: "remove", Type: ParamText, Values: []string{"acknowledged", "never"}, Doc: "acknowledged: remove from the eUICC what the server has acknowledged."},
		}, Measures: []string{"pending", "delivered"}},
		{Name: KindEnable, Power: "on", Irreversible: true, Doc: "Enable the installed profile.", Params: []Param{
			{Name: "routes", Type: ParamList, Values: []string{RouteES10c, RouteImmediate, RouteCarried, RouteNone}, Doc: "Ways to enable, tried in order; es10c where nothing is said. A way that the eUICC refuses without having changed anything leads to the next."},
		}, Measures: []string{"route"}},
		{Name: KindRestart, Doc: "Cold restart by fixture power: off, wait, on, boot, radio quiet, same identity.", Params: []Param{
			{Name: "off", Type: ParamDuration, Doc: "Time without power."},
		}, Measures: []string{"boot_ms"}},
		{Name: KindReadback, Power: "on", Doc: "Read ICCID through the module, EID and profile state through the ISD-R.", Params: []Param{
			{Name: "state", Type: ParamText, Values: []string{"enabled", "disabled"}, Required: true, Doc: "What the profile's state must be."},
		}, Measures: []string{"iccid", "state", "one_time_keys", "lpa_services", "profiles"}},
		{Name: KindShipState, Power: "on", Doc: "Put the module into the state in which it ships, saved the way its family saves, and read it back.", Params: []Param{
			{Name: "radio", Type: ParamText, Values: []string{"on", "off"}, Required: true, Doc: "Whether the radio starts by itself at the customer's."},
		}},
		{Name: KindPowerDown, Power: "on", Doc: "Shut the module down in order."},
		{Name: KindDelete, Power: "on", Irreversible: true, Doc: "Delete the profile that an earlier run of this unit installed (rework)."},
		{Name: KindReset, Power: "on", Irreversible: true, Doc: "Reset the eUICC's memory (rework): SGP.22's function, or SGP.32's with its own number.", Params: []Param{
			{Name: "what", Type: ParamList, Required: true, Values: []string{"operational", "test", "default_address", "preloaded_test", "provisioning", "eim", "immediate_enable"},
				Doc: "What is removed; the last four on SGP.32 only."},
		}, Measures: []string{"deleted"}},
		{Name: KindImmediate, Power: "on", Doc: "Allow the profile that is installed next to be enabled in that session (SGP.32 ConfigureImmediateEnable).", Params: []Param{
			{Name: "smdp", Type: ParamText, Doc: "Only profiles of this SM-DP+ address; \"reserved\": that of the reserved profile. Any where nothing is said."},
			{Name: "smdp_oid", Type: ParamText, Doc: "Only profiles of the SM-DP+ with this object identifier."},
		}},
		{Name: KindAddEIM, Power: "on", Irreversible: true, Doc: "Associate the first eIMs (SGP.32 AddInitialEim); the last change of the eUICC.", Params: []Param{
			{Name: "configuration", Type: ParamFiles, Doc: "eIM configuration data as the eIM's operator hands it out, DER or JSON. The order's own where the order names one."},
		}, Measures: []string{"eims"}},
		{Name: KindEIMReadback, Power: "on", Doc: "Read back what makes an IoT unit reachable: eIMs (BF55), profiles with their attributes (BF2D), connectivity parameters, certificates; the eIM onboarding record.", Measures: []string{"eims", "fallback", "emergency", "connectivity"}},
		{Name: KindBootstrap, Power: "on", Doc: "Read the profile that the unit was delivered with, through the module (SGP.02).", Measures: []string{"iccid", "operator", "state"}},
	}
}

// KindByName finds a step kind.
func KindByName(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}
