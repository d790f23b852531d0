package mes

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// maxList bounds the body of a request that carries a list of codes.
const maxList = 80 << 20

// bodyLimit bounds a request's body by what it may carry.
func bodyLimit(path string) int64 {
	switch path {
	case "/v1/pairing/import", "/v1/stock/import", "/v1/stock/reconcile", "/v1/stock/needed":
		return maxList
	}
	return maxBody
}

// PersonBody is who decides about stock.
type PersonBody struct {
	Operator
	Role station.Role `json:"role,omitempty" enum:"operator,lead,qa" doc:"Role of the person, over the unix socket; a token has its own"`
}

// ListBody is a list as a file has it.
type ListBody struct {
	Name string `json:"name" minLength:"1" maxLength:"300" doc:"For messages: the file's path"`
	Data string `json:"data" doc:"The file's text: CSV or JSON"`
}

// ImportBody takes codes into the stock.
type ImportBody struct {
	PersonBody
	ListBody
	Batch *station.StockBatch `json:"batch,omitempty" doc:"Name and terms of the batch, where the list does not state them"`
	EIDs  *ListBody           `json:"eids,omitempty" doc:"List with a column eid: only packages for these eUICCs are taken"`
}

// DecisionBody is a decision about one profile.
type DecisionBody struct {
	PersonBody
	Why string `json:"why" minLength:"1" maxLength:"300"`
}

// ResolveBody says what was found out about a profile.
type ResolveBody struct {
	DecisionBody
	Finding stock.Finding `json:"finding" enum:"installed,absent,unused,spent"`
	ICCID   string        `json:"iccid,omitempty" pattern:"^[0-9]{18,20}$"`
}

// QuarantineBody takes what is available out of use.
type QuarantineBody struct {
	DecisionBody
	Batch string `json:"batch,omitempty" maxLength:"64" doc:"This batch only"`
}

// NotificationsBody says what becomes of the notifications of a batch.
type NotificationsBody struct {
	DecisionBody
	Batch string `json:"batch" maxLength:"64"`
	To    string `json:"to" enum:"send,hold"`
}

// EraseBody erases the codes of used profiles.
type EraseBody struct {
	PersonBody
	KeepHours int `json:"keep_hours" minimum:"0" maximum:"876000" doc:"Codes of profiles that were used up longer ago than this"`
}

// Handle names a profile of the stock.
type Handle struct {
	Handle string `path:"handle" maxLength:"64"`
}

type (
	profileOutput struct{ Body station.StockItem }
	countOutput   struct {
		Body struct {
			Profiles int `json:"profiles"`
		}
	}
)

// stockRoutes serves the stock, where the station gives it to the server.
func (s *Server) stockRoutes(api huma.API) {
	s.loadingReport(api)
	room := s.opt.Stock
	if room == nil {
		return
	}
	s.stockReads(api, room)
	s.stockLists(api, room)
	s.alarmRoutes(api, room)
	huma.Register(api, change("release-profile", "/v1/stock/{handle}/release", "stock", "Put a quarantined profile back for any eUICC"), func(ctx context.Context, in *struct {
		Handle
		Body DecisionBody
	}) (*profileOutput, error) {
		return decide(ctx, s, in.Body.PersonBody, func(ctx context.Context, by station.Person) (station.StockItem, error) {
			return room.Release(ctx, stock.Decision{By: by, Handle: in.Handle.Handle, Why: in.Body.Why})
		})
	})
	huma.Register(api, change("resolve-profile", "/v1/stock/{handle}/resolve", "stock", "Say what was found out about a profile"), func(ctx context.Context, in *struct {
		Handle
		Body ResolveBody
	}) (*profileOutput, error) {
		return decide(ctx, s, in.Body.PersonBody, func(ctx context.Context, by station.Person) (station.StockItem, error) {
			d := stock.Decision{By: by, Handle: in.Handle.Handle, Why: in.Body.Why, ICCID: ident.ICCID(in.Body.ICCID)}
			return room.Resolve(ctx, d, in.Body.Finding)
		})
	})
	huma.Register(api, change("quarantine-stock", "/v1/stock/quarantine", "stock", "Take what is available out of use until it was reconciled"), func(ctx context.Context, in *struct{ Body QuarantineBody }) (*countOutput, error) {
		return s.counted(ctx, in.Body.PersonBody, func(ctx context.Context, by station.Person) (int, error) {
			return room.Quarantine(ctx, by, stock.Filter{Batch: in.Body.Batch}, in.Body.Why)
		})
	})
	huma.Register(api, change("batch-notifications", "/v1/stock/notifications", "stock", "Send, or keep back, the notifications of a batch's profiles from now on"), func(ctx context.Context, in *struct{ Body NotificationsBody }) (*countOutput, error) {
		return s.counted(ctx, in.Body.PersonBody, func(ctx context.Context, by station.Person) (int, error) {
			return 0, room.Notifications(ctx, by, in.Body.Batch, in.Body.To, in.Body.Why)
		})
	})
	huma.Register(api, change("erase-codes", "/v1/stock/erase", "stock", "Erase the codes of profiles that are used up"), func(ctx context.Context, in *struct{ Body EraseBody }) (*countOutput, error) {
		return s.counted(ctx, in.Body.PersonBody, func(ctx context.Context, by station.Person) (int, error) {
			return room.Erase(ctx, by, time.Duration(in.Body.KeepHours)*time.Hour)
		})
	})
}

func (s *Server) stockReads(api huma.API, room *stock.Room) {
	huma.Register(api, look("list-stock", "/v1/stock", "stock", "Counts, what is left of every kind, profiles"), func(ctx context.Context, in *struct {
		ID       string             `query:"id" maxLength:"80" doc:"Only the profiles with this handle, iccid:, eid: or run:"`
		State    station.StockState `query:"state" enum:"available,reserved,installed,quarantined,spent"`
		Batch    string             `query:"batch"`
		Operator string             `query:"operator"`
		Customer string             `query:"customer"`
		SKU      string             `query:"sku"`
		Limit    int                `query:"limit" default:"1000" minimum:"0" maximum:"100000"`
	}) (*struct{ Body stock.Stocked }, error) {
		f := stock.Filter{State: in.State, Batch: in.Batch, Operator: in.Operator, Customer: in.Customer, SKU: in.SKU}
		out, err := room.List(f, in.Limit)
		if err == nil && in.ID != "" {
			out.More = false
			out.Profiles, err = room.Find(in.ID)
		}
		if out.Profiles == nil {
			out.Profiles = []station.StockItem{}
		}
		return &struct{ Body stock.Stocked }{out}, stockProblem(ctx, err)
	})
	type claimsOutput struct {
		Body struct {
			Claims []stock.Claim `json:"claims"`
		}
	}
	huma.Register(api, look("list-claims", "/v1/stock/claims", "stock", "Burnt, stuck and expired orders by batch, with the results that eUICCs signed"), func(ctx context.Context, in *struct {
		Batch string `query:"batch"`
	}) (*claimsOutput, error) {
		out := &claimsOutput{}
		claims, err := room.Claims(stock.Filter{Batch: in.Batch})
		out.Body.Claims = append([]stock.Claim{}, claims...)
		return out, stockProblem(ctx, err)
	})
}

// loadingReport serves the loading report (SGP.41, step 13), as the file has it.
func (s *Server) loadingReport(api huma.API) {
	report := s.opt.LoadingReport
	if report == nil {
		return
	}
	huma.Register(api, look("get-loading-report", "/v1/stock/loading-report", "stock", "What became of every prepared package of in-factory provisioning, with the results that eUICCs signed (linefit-loading-report/1)"), func(ctx context.Context, in *struct {
		Batch string `query:"batch" maxLength:"64" doc:"This batch only"`
	}) (*huma.StreamResponse, error) {
		write, err := report(in.Batch)
		if err != nil {
			return nil, stockProblem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			ctx.SetHeader("Content-Type", "application/json")
			if err := write(ctx.BodyWriter()); err != nil {
				panic(http.ErrAbortHandler) // the reader must not take half a report for a whole one
			}
		}}, nil
	})
}

// stockLists serves what takes a list in.
func (s *Server) stockLists(api huma.API, room *stock.Room) {
	large := func(op huma.Operation) huma.Operation {
		op.MaxBodyBytes = maxList
		op.Errors = append([]int{http.StatusUnprocessableEntity}, op.Errors...)
		return op
	}
	huma.Register(api, large(change("import-stock", "/v1/stock/import", "stock", "Take a list of activation codes into the stock: all of it or nothing")), func(ctx context.Context, in *struct{ Body ImportBody }) (*struct{ Body stock.Imported }, error) {
		src := stock.Source{Name: in.Body.Name, Data: []byte(in.Body.Data)}
		if in.Body.Batch != nil {
			src.Batch = *in.Body.Batch
		}
		room := *room
		if in.Body.EIDs != nil {
			if err := room.Only(in.Body.EIDs.Name, []byte(in.Body.EIDs.Data)); err != nil {
				return nil, stockProblem(ctx, err)
			}
		}
		ctx, cancel := s.longPatience(ctx)
		defer cancel()
		by, err := s.person(ctx, in.Body.PersonBody)
		if err != nil {
			return nil, stockProblem(ctx, err)
		}
		out, err := room.Import(ctx, by, src)
		return &struct{ Body stock.Imported }{out}, stockProblem(ctx, err)
	})
	type reconcileOutput struct {
		Body struct {
			Disagreements []stock.Disagreement `json:"disagreements"`
			Application   *stock.Application   `json:"application,omitempty"`
		}
	}
	huma.Register(api, large(change("reconcile-stock", "/v1/stock/reconcile", "stock", "Compare ledger and log with the lists of SM-DP+ and MES; a code that somebody else has used raises an alarm, apply puts back what all agree on, else nothing changes")), func(ctx context.Context, in *struct{ Body ReconcileBody }) (*reconcileOutput, error) {
		lists, err := in.Body.lists()
		if err != nil {
			return nil, stockProblem(ctx, err)
		}
		ctx, cancel := s.longPatience(ctx)
		defer cancel()
		by, err := s.person(ctx, in.Body.PersonBody)
		if err != nil {
			return nil, stockProblem(ctx, err)
		}
		out := &reconcileOutput{}
		if lists.Server != nil && (lists.Units != nil || in.Body.NoMES) || in.Body.Apply {
			a, err := room.Apply(ctx, by, in.Body.Why, lists, in.Body.NoMES, !in.Body.Apply)
			if err != nil {
				return nil, stockProblem(ctx, err)
			}
			out.Body.Application = &a
		}
		found, err := room.Reconcile(ctx, by.Actor, lists)
		out.Body.Disagreements = append([]stock.Disagreement{}, found...)
		return out, stockProblem(ctx, err)
	})
	type neededOutput struct {
		Body struct {
			EIDs []ident.EID `json:"eids"`
		}
	}
	huma.Register(api, large(change("needed-profiles", "/v1/stock/needed", "stock", "Which eUICCs of a list have no profile yet; changes nothing")), func(ctx context.Context, in *struct{ Body ListBody }) (*neededOutput, error) {
		eids, err := stock.ReadEIDList(in.Body.Name, []byte(in.Body.Data))
		if err != nil {
			return nil, stockProblem(ctx, err)
		}
		out := &neededOutput{}
		needed, err := room.Needed(eids)
		out.Body.EIDs = append([]ident.EID{}, needed...)
		return out, stockProblem(ctx, err)
	})
}

func decide(ctx context.Context, s *Server, body PersonBody, act func(context.Context, station.Person) (station.StockItem, error)) (*profileOutput, error) {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	by, err := s.person(ctx, body)
	if err != nil {
		return nil, stockProblem(ctx, err)
	}
	item, err := act(ctx, by)
	return &profileOutput{Body: item}, stockProblem(ctx, err)
}

func (s *Server) counted(ctx context.Context, body PersonBody, act func(context.Context, station.Person) (int, error)) (*countOutput, error) {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	by, err := s.person(ctx, body)
	if err != nil {
		return nil, stockProblem(ctx, err)
	}
	out := &countOutput{}
	out.Body.Profiles, err = act(ctx, by)
	return out, stockProblem(ctx, err)
}

// stockProblem turns an error of the stock into a problem; all mistakes of a
// list stand in its detail, one in a line.
func stockProblem(ctx context.Context, err error) error {
	var mistakes strictyaml.Problems
	status := 0
	switch {
	case err == nil:
		return nil
	case errors.Is(err, stock.ErrUnfinished): // whatever it was that ended it: no refusal, for the codes may be here
		status = http.StatusInternalServerError
	case errors.As(err, &mistakes), errors.Is(err, stock.ErrShare), errors.Is(err, stock.ErrLists), errors.Is(err, stock.ErrFromMES), errors.Is(err, stock.ErrBatch), errors.Is(err, stock.ErrNoShare), errors.Is(err, stock.ErrOtherStation):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, stock.ErrNoProfile):
		status = http.StatusNotFound
	default:
		return problemOf(callerOf(ctx).lang, err)
	}
	p := &Problem{Title: http.StatusText(status), Status: status, Detail: strings.TrimSpace(err.Error())}
	for _, m := range mistakes {
		p.Mistakes = append(p.Mistakes, Mistake(m))
	}
	return p
}
