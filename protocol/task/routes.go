package task

// Our own routes on the Runtime API. Stock executors do not know them and work without them.
// Both carry the task token like every other route; bodies are JSON.
const (
	// PathAwaitTaskEnd answers 204 once the task has been ended by somebody other than its app.
	PathAwaitTaskEnd = "/v1/runtime/rhizome/await-task-end"
	// PathReportExit takes an [Exit].
	PathReportExit = "/v1/runtime/rhizome/report-exit"
)
