package station

import "fmt"

// Role is what a person may do.
type Role string

// Roles. A lead may do what an operator may, QA what a lead may.
const (
	RoleOperator Role = "operator"
	RoleLead     Role = "lead"
	RoleQA       Role = "qa"
)

func (r Role) level() int {
	switch r {
	case RoleOperator:
		return 1
	case RoleLead:
		return 2
	case RoleQA:
		return 3
	}
	return 0
}

// Person is who does something.
type Person struct {
	Actor Actor `json:"actor"`
	Role  Role  `json:"role"`
}

// Allow says whether a person may do something that takes a role; no is a
// *Refusal with PermissionMissing.
func (p Person) Allow(role Role, format string, args ...any) error {
	if p.Actor == "" || p.Role.level() == 0 {
		return Refuse(PermissionMissing, "nobody, or no role, was named")
	}
	if p.Role.level() < role.level() {
		return Refuse(PermissionMissing, "%s takes role %s; %s is %s", fmt.Sprintf(format, args...), role, p.Actor, p.Role)
	}
	return nil
}
