package main

import (
	"context"
	"fmt"
	"strings"

	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/station/mes"
)

// euiccInfo is what `info --json` prints.
type euiccInfo struct {
	EID            string           `json:"eid"`
	EIDValid       bool             `json:"eid_valid"` // its check digits match
	Generation     euicc.Generation `json:"generation"`
	SVN            string           `json:"svn"`
	FreeNVM        *int64           `json:"free_nvm"` // bytes; null where the eUICC does not tell
	CIPKIDs        []euicc.PKID     `json:"ci_pkids"` // issuers whose servers it accepts
	Profiles       []profileView    `json:"profiles"`
	SigningPKIDs   []euicc.PKID     `json:"signing_pkids,omitempty"`
	Firmware       string           `json:"firmware,omitempty"`
	ProfileVersion string           `json:"profile_version,omitempty"`
	SAS            string           `json:"sas,omitempty"`
	Platform       string           `json:"platform,omitempty"`
	DefaultSMDP    string           `json:"default_smdp,omitempty"`
	RootSMDS       string           `json:"root_smds,omitempty"`
	ForbiddenPPRs  []int            `json:"forbidden_pprs,omitempty"`
	IoTVersions    []string         `json:"iot_versions,omitempty"`
	EIMs           []string         `json:"eims,omitempty"`
	Pending        int              `json:"pending_notifications"`
	Route          string           `json:"route,omitempty"`
	Module         modem.Identity   `json:"module"`
}

// profileView is a profile as it is printed.
type profileView struct {
	ICCID    string      `json:"iccid"`
	AID      string      `json:"aid,omitempty"`
	State    euicc.State `json:"state"`
	Nickname string      `json:"nickname,omitempty"`
	Provider string      `json:"provider,omitempty"`
	Name     string      `json:"name,omitempty"`
	Class    euicc.Class `json:"class"`
	Owner    string      `json:"owner,omitempty"`
	PPRs     []int       `json:"pprs,omitempty"`
}

func viewProfiles(list []euicc.Profile) []profileView {
	out := make([]profileView, 0, len(list))
	for _, p := range list {
		v := profileView{
			ICCID: string(p.ICCID), AID: fmt.Sprintf("%X", p.AID), State: p.State, Nickname: p.Nickname, Provider: p.Provider,
			Name: p.Name, Class: p.Class, Owner: p.Owner.String(), PPRs: p.PPRs,
		}
		if v.ICCID == "" {
			v.ICCID = fmt.Sprintf("%X", p.RawICCID)
		}
		out = append(out, v)
	}
	return out
}

func (v profileView) line() string {
	name := strings.Join(strings.Fields(v.Nickname+" "+v.Name+" ("+v.Provider+")"), " ")
	return fmt.Sprintf("%-20s  %-8s  %-12s  %s", v.ICCID, v.State, v.Class, name)
}

type euiccInfoCmd struct{}

// Run prints what eUICC this is.
func (c *euiccInfoCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "info"}); done {
		return err
	}
	u, err := e.open(a)
	if err != nil {
		return e.failed(a, err)
	}
	defer u.close()
	var info euiccInfo
	err = u.again(a.ctx, func() (retry bool, err error) {
		info, err = u.survey(a.ctx)
		return apdu.SIMBusy(err), err
	})
	if err != nil {
		return e.failed(a, err)
	}
	if e.JSON {
		return printJSON(a.stdout, info)
	}
	fmt.Fprintf(a.stdout, "EID         %s\ngeneration  %s\nversion     %s\nfirmware    %s\n", info.EID, info.Generation, info.SVN, info.Firmware)
	if info.FreeNVM != nil {
		fmt.Fprintf(a.stdout, "free        %d bytes\n", *info.FreeNVM)
	}
	for _, id := range info.CIPKIDs {
		fmt.Fprintf(a.stdout, "issuer      %s\n", id)
	}
	fmt.Fprintf(a.stdout, "module      %s %s %s, APDUs over %s\n", info.Module.Maker, info.Module.Model, info.Module.Firmware, info.Route)
	fmt.Fprintf(a.stdout, "waiting     %d notifications\nprofiles    %d\n", info.Pending, len(info.Profiles))
	for _, p := range info.Profiles {
		fmt.Fprintln(a.stdout, "  "+p.line())
	}
	return nil
}

// survey reads all that info prints, on one channel; an M2M eUICC is asked for
// its EID on another.
func (u *unit) survey(ctx context.Context) (euiccInfo, error) {
	info := euiccInfo{Module: u.id, CIPKIDs: []euicc.PKID{}, Profiles: []profileView{}}
	id, err := euicc.Identify(ctx, func(ctx context.Context, aid []byte) (euicc.Channel, error) {
		ch, err := u.channel(ctx, aid)
		if err != nil {
			return nil, err
		}
		info.Route = ch.Route().Kind.String()
		return ch, nil
	}, euicc.Options{BlockSize: u.routes[0].BlockSize, OmitLe: u.routes[0].OmitLe})
	if err != nil {
		return info, err
	}
	info.EID, info.Generation = fmt.Sprintf("%x", id.EID), id.Generation
	_, invalid := ident.EIDFromBytes(id.EID)
	info.EIDValid = invalid == nil
	if id.Info2 == nil {
		return info, nil
	}
	two := *id.Info2
	info.SVN, info.Firmware, info.ProfileVersion, info.SAS, info.Platform = two.SVN, two.Firmware, two.ProfileVersion, two.SASAccreditation, two.PlatformLabel
	info.CIPKIDs, info.SigningPKIDs, info.ForbiddenPPRs, info.IoTVersions = append(info.CIPKIDs, two.Verification...), two.Signing, two.ForbiddenPPRs, two.IoTVersions
	if two.FreeNonVolatile >= 0 {
		info.FreeNVM = &two.FreeNonVolatile
	}
	return info, u.reading(ctx, func(card *euicc.Card) error { return info.fill(ctx, card) })
}

// fill reads what is not in the eUICC's information.
func (info *euiccInfo) fill(ctx context.Context, card *euicc.Card) error {
	profiles, err := card.Profiles(ctx)
	if err != nil {
		return err
	}
	info.Profiles = viewProfiles(profiles)
	waiting, err := card.Notifications(ctx)
	if err != nil {
		return err
	}
	info.Pending = len(waiting)
	addresses, err := card.Addresses(ctx)
	if apdu.SIMBusy(err) {
		return err
	}
	info.DefaultSMDP, info.RootSMDS = addresses.DefaultSMDP, addresses.RootSMDS // some eUICCs have none to tell
	if info.Generation == euicc.SGP32 {
		if eims, err := card.EIMs(ctx); err == nil {
			for _, e := range eims {
				info.EIMs = append(info.EIMs, e.ID)
			}
		}
	}
	return nil
}

type euiccListCmd struct{}

// Run lists the profiles.
func (c *euiccListCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "list"}); done {
		return err
	}
	u, err := e.open(a)
	if err != nil {
		return e.failed(a, err)
	}
	defer u.close()
	var list []euicc.Profile
	err = u.reading(a.ctx, func(card *euicc.Card) (err error) {
		list, err = card.Profiles(a.ctx)
		return err
	})
	if err != nil {
		return e.failed(a, err)
	}
	return printProfiles(a, e, list)
}

func printProfiles(a *app, e *euiccCmd, list []euicc.Profile) error {
	views := viewProfiles(list)
	if e.JSON {
		return printJSON(a.stdout, map[string]any{"profiles": views})
	}
	if len(views) == 0 {
		fmt.Fprintln(a.stderr, "no profiles")
	}
	for _, v := range views {
		fmt.Fprintln(a.stdout, v.line())
	}
	return nil
}
