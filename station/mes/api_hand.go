package mes

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"linefit/station"
)

// HandBody is work by hand on the eUICC in a slot, as `linefit euicc` has it on
// its command line. Codes in it are secret: they are used and never kept.
type HandBody struct {
	PersonBody
	Verb      string   `json:"verb" enum:"info,list,download,enable,disable,delete,nickname,notifications list,notifications send,notifications remove,reset,reconcile"`
	Profile   string   `json:"profile,omitempty" maxLength:"40" doc:"ICCID, or AID of the ISD-P"`
	Name      string   `json:"name,omitempty" maxLength:"64" doc:"Nickname; empty removes it"`
	NoRefresh bool     `json:"no_refresh,omitempty" doc:"Do not ask the module to read the card again"`
	Sequence  []int64  `json:"sequence,omitempty" maxItems:"256" doc:"Numbers of notifications"`
	Reset     []string `json:"reset,omitempty" maxItems:"4" enum:"operational,test,default_address,eim" doc:"What a memory reset deletes"`

	ActivationCode   string `json:"activation_code,omitempty" maxLength:"512"`
	ConfirmationCode string `json:"confirmation_code,omitempty" maxLength:"64"`
	IMEI             string `json:"imei,omitempty" maxLength:"20" doc:"For a module that does not tell it"`
	TAC              string `json:"tac,omitempty" maxLength:"8"`
	ICCID            string `json:"iccid,omitempty" maxLength:"20" doc:"The profile that is expected; another one is not installed"`
	Consent          string `json:"consent,omitempty" maxLength:"200" doc:"Contract by which the profile's policy rules are agreed to"`
	Keep             bool   `json:"keep,omitempty" doc:"Leave the notification on the eUICC"`

	Route string `json:"route,omitempty" enum:"auto,cgla,csim"`
	Quirk string `json:"quirk,omitempty" maxLength:"64" doc:"Entry of the quirk table, for a module that does not tell what it is"`
	Block int    `json:"block,omitempty" minimum:"0" maximum:"255"`
	JSON  bool   `json:"json,omitempty" doc:"The output is a JSON document"`
	Trace bool   `json:"trace,omitempty" doc:"Send the redacted APDU trace along"`
}

// Changes reports whether the verb changes the eUICC.
func (b HandBody) Changes() bool {
	switch b.Verb {
	case "info", "list", "notifications list", "reconcile":
		return false
	}
	return true
}

// HandReply is what the work came to.
type HandReply struct {
	Exit     int    `json:"exit" doc:"0 done and good, 1 a bad verdict, 2 wrong usage, 3 something is missing or busy, 4 refused"`
	Output   string `json:"output" doc:"What the command prints"`
	Messages string `json:"messages,omitempty" doc:"What it says beside that"`
	Error    string `json:"error,omitempty"`
	Trace    string `json:"trace,omitempty"`
}

// handLimit bounds a request for work by hand.
const handLimit = 16 * time.Minute

// isHand reports whether a path is that of work by hand, which takes its time.
func isHand(path string) bool {
	return strings.HasPrefix(path, "/v1/slots/") && strings.HasSuffix(path, "/euicc")
}

func (s *Server) handRoute(api huma.API) {
	if s.opt.Hand == nil {
		return
	}
	op := change("euicc-by-hand", "/v1/slots/{id}/euicc", "slots", "Work on the eUICC in a slot by hand, while no unit is at work in it")
	op.Errors = append([]int{http.StatusServiceUnavailable}, op.Errors...)
	huma.Register(api, op, func(ctx context.Context, in *struct {
		SlotPath
		Body HandBody
	}) (*struct{ Body HandReply }, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handLimit)
		defer cancel()
		by, err := s.person(ctx, in.Body.PersonBody)
		if err != nil {
			return nil, problemOf(callerOf(ctx).lang, err)
		}
		if by.Actor == "" {
			by.Actor = station.Actor("operator")
		}
		reply, err := s.opt.Hand(ctx, by, in.ID, in.Body)
		if err != nil {
			return nil, problemOf(callerOf(ctx).lang, err)
		}
		return &struct{ Body HandReply }{reply}, nil
	})
}
