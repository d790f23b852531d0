package mes

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"linefit/station"
)

// SlotPath names a slot.
type SlotPath struct {
	ID int `path:"id" minimum:"1" maximum:"64" doc:"Number of the slot"`
}

// StartBody starts a unit in a slot.
type StartBody struct {
	Operator
	Unit   station.Serial  `json:"unit" pattern:"^[!-~]{1,64}$" doc:"Serial number"`
	Expect *station.Expect `json:"expect,omitempty" doc:"Identity that is known beforehand"`
}

// AckBody says that a person has seen a result, or has put the unit into a bin.
type AckBody struct {
	Operator
	Bin string `json:"bin,omitempty" pattern:"^[!-~]{0,64}$"`
}

func (s *Server) slotRoutes(api huma.API) {
	huma.Register(api, look("list-slots", "/v1/slots", "slots", "All slots"),
		func(context.Context, *struct{}) (*struct {
			Body struct {
				Slots []station.SlotView `json:"slots"`
			}
		}, error) {
			out := &struct {
				Body struct {
					Slots []station.SlotView `json:"slots"`
				}
			}{}
			out.Body.Slots = append([]station.SlotView{}, s.View().Slots...) // never null, also while the station opens
			return out, nil
		})
	get := look("get-slot", "/v1/slots/{id}", "slots", "One slot")
	get.Errors = []int{http.StatusNotFound}
	huma.Register(api, get, func(_ context.Context, in *SlotPath) (*struct{ Body station.SlotView }, error) {
		for _, v := range s.View().Slots {
			if v.ID == in.ID {
				return &struct{ Body station.SlotView }{v}, nil
			}
		}
		return nil, &Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: "there is no such slot"}
	})
	huma.Register(api, change("start-unit", "/v1/slots/{id}/start", "slots", "Start a unit"), func(ctx context.Context, in *struct {
		SlotPath
		Body StartBody
	}) (*replyOutput, error) {
		cmd := station.Command{Kind: station.CmdStart, Slot: in.ID, Unit: in.Body.Unit, Operator: in.Body.Operator.Operator}
		if in.Body.Expect != nil {
			cmd.Expect = *in.Body.Expect
		}
		return s.command(ctx, cmd)
	})
	huma.Register(api, change("acknowledge", "/v1/slots/{id}/ack", "slots", "A person has seen FAIL or HOLD: open the clamp"), func(ctx context.Context, in *struct {
		SlotPath
		Body *AckBody
	}) (*replyOutput, error) {
		cmd := station.Command{Kind: station.CmdAck, Slot: in.ID}
		if in.Body != nil {
			cmd.Operator, cmd.Text = in.Body.Operator.Operator, in.Body.Bin
		}
		return s.command(ctx, cmd)
	})
	for _, c := range []struct {
		kind          station.CommandKind
		path, summary string
	}{
		{station.CmdAbort, "abort", "Stop the run; the unit's closing steps still run"},
		{station.CmdEnable, "enable", "Switch the slot on"},
		{station.CmdDisable, "disable", "Switch the slot off"},
		{station.CmdClear, "clear", "Clear the slot's fault"},
	} {
		op := change(string(c.kind)+"-slot", "/v1/slots/{id}/"+c.path, "slots", c.summary)
		huma.Register(api, op, func(ctx context.Context, in *struct {
			SlotPath
			Body *WhyBody
		}) (*replyOutput, error) {
			cmd := station.Command{Kind: c.kind, Slot: in.ID}
			if in.Body != nil {
				cmd.Operator, cmd.Why = in.Body.Operator.Operator, in.Body.Why
			}
			return s.command(ctx, cmd)
		})
	}
}
