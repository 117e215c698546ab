"""How the task, its hosts and its sessions are: judged, healed where that helps, and measured."""
