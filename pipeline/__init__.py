"""The ground floor: items that flow, how stages run, clock and errors. Imports no other room."""
