package chaos

// The processes that are killed.
const (
	procLink      = "link"
	procNode      = "node"
	procLinkExec  = "SuperExec of the link"
	procNodeExec  = "SuperExec of the node"
	procRelay     = "relay"
	procClientApp = "ClientApp"
	procServerApp = "ServerApp"
)

var processes = []string{procLink, procNode, procLinkExec, procNodeExec, procRelay, procClientApp, procServerApp}

// moment is a point in a round. reach brings the run there and returns a function that lets it go on.
type moment struct {
	name string
	// means explains when that is.
	means string
	big   bool // needs a model that takes a while to transfer
	reach func(*federation) (resume func())
}

var (
	beforeOffer   = moment{name: "before offer", means: "the link has the messages on disk, but no node has heard of them", reach: reachOffer}
	objectsFlow   = moment{name: "objects in flight", means: "the node has received part of the model", big: true, reach: reachObjectsIn("node0")}
	accepted      = moment{name: "accepted", means: "the node has the message on disk, but its app has not started", reach: reachAccepted}
	appRunning    = moment{name: "app running", means: "the ClientApp is training", reach: reachRunning}
	replyFlows    = moment{name: "reply in flight", means: "the link has received part of the reply", big: true, reach: reachObjectsIn("link")}
	betweenRounds = moment{name: "between rounds", means: "the ServerApp has all replies of a round and is computing", reach: reachBetween}
	atFinish      = moment{name: "at finish", means: "the ServerApp has the result and is about to end", reach: reachFinish}
	moments       = []moment{beforeOffer, objectsFlow, accepted, appRunning, replyFlows, betweenRounds, atFinish}
)

// outcome is what becomes of a cell.
type outcome string

const (
	sameWeights outcome = "same weights"
	askedAgain  outcome = "error 8, asked again"
	runFails    outcome = "run fails, with the reason"
	noProcess   outcome = "no such process"
)

// cell is one process at one moment.
type cell struct {
	process string
	moment  moment
	outcome outcome
	slow    bool // waits for the claim of a task to expire
}

// expected is the outcome of a cell. Any process of Rhizome itself may die at any time. Work
// that an app holds in memory is lost with the app, and only the app can say what that means: a
// dead ClientApp is error 8 for its ServerApp, and a dead ServerApp is the end of its run.
func expected(process, at string) outcome {
	switch {
	case process == procServerApp:
		return runFails
	case process == procClientApp && at == appRunning.name:
		return askedAgain
	case process == procClientApp:
		return noProcess
	default:
		return sameWeights
	}
}

// cellsOf returns the cells of a moment that can be tried.
func cellsOf(m moment) []cell {
	var cells []cell
	for _, process := range processes {
		c := cell{process: process, moment: m, outcome: expected(process, m.name)}
		// The task was given to the SuperExec that died, so it is handed out again only when
		// the claim expires.
		c.slow = process == procNodeExec && m.name == accepted.name
		if c.outcome != noProcess {
			cells = append(cells, c)
		}
	}
	return cells
}
