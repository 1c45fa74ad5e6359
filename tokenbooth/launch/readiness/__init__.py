"""May this model go to that stage: verdict, blockers, room, dates."""
