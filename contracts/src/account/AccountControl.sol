// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1822Proxiable} from "@openzeppelin/contracts/interfaces/draft-IERC1822.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {AccountBase} from "./AccountBase.sol";
import {CallPolicies, CallPolicy, CallRule} from "./CallPolicy.sol";
import {CallSessions} from "./CallSessions.sol";
import {Passkeys} from "./Passkeys.sol";
import {SessionSignatures} from "./SessionSignatures.sol";
import {Signers} from "./Signers.sol";

/// @title Who controls an account, how that changes, and sessions that make other calls
/// @notice There are two implementations of the same source. In the custodial one the owner is a custodian: upgrades,
/// changes of owner and of guardian, and new kinds of call for sessions are announced 48 hours before and can be called
/// off by the customer's enrolled key. Exit moves an account to the self-custody one, in one step and for good.
/// @dev Code of the account that payments never need: `OpenVPPAccount` delegates to it what it does not know itself.
/// The owner may: everything else at once (custody is custody: it moves funds, ends and stops sessions). The
/// customer's key, an address or a P-256 key, may: call off what is announced, exit, replace itself; it moves nothing.
/// The guardian may: stop sessions for a week, end them, and propose another owner, which waits 48 hours and can be
/// called off by owner and customer; it never moves funds, upgrades, or touches an exit. Anybody may carry out an exit
/// or a recovery that is ripe. The sessions of the two implementations stand in two places of storage, so that an exit
/// ends all that a custodian let in, listed or not, and no payment reads a word more for it. An owner in self-custody
/// who upgrades to a custodial implementation again would find the old sessions alive; they should open a new account.
contract AccountControl is AccountBase, CallSessions {
    /// @notice How long what is announced waits, in seconds.
    uint256 public constant CUSTODIAN_DELAY = 48 hours;

    /// @notice How long it may be made afterwards, in seconds; an exit for ever.
    uint256 public constant CHANGE_WINDOW = 14 days;

    /// @dev EIP-712 type of what the customer's key signs for others to bring.
    bytes32 internal constant CUSTOMER_CALL_TYPEHASH = keccak256("CustomerCall(bytes call,uint256 nonce)");

    /// @notice The owner changed.
    /// @param previousOwner Owner before.
    /// @param newOwner Owner from now on.
    event OwnerChanged(address indexed previousOwner, address indexed newOwner);

    /// @notice A change was announced.
    /// @param callHash Hash of the call.
    /// @param call The call in full, to be read by anybody.
    /// @param readyAt First second at which it may be made, Unix time.
    event ChangeScheduled(bytes32 indexed callHash, bytes call, uint256 readyAt);

    /// @notice An announced change was called off.
    /// @param callHash Hash of the call.
    event ChangeCancelled(bytes32 indexed callHash);

    /// @notice The customer's own key was enrolled, or replaced by itself.
    /// @param customer The key's address or name.
    event CustomerEnrolled(address indexed customer);

    /// @notice The guardian changed.
    /// @param guardian Guardian from now on, or zero.
    event GuardianChanged(address indexed guardian);

    /// @notice Sessions may make such calls, or no longer.
    /// @param target Whom they call.
    /// @param selector What they call.
    /// @param isAllowed Whether they may.
    event CallKindChanged(address indexed target, bytes4 indexed selector, bool isAllowed);

    /// @notice An exit from custody was announced.
    /// @param newOwner Owner afterwards.
    /// @param readyAt First second at which anybody may carry it out, Unix time.
    /// @param keepsGuardian Whether the guardian stays.
    /// @param isCustomers Whether the customer's key announced it, so that nobody else can stop it.
    event ExitAnnounced(address indexed newOwner, uint256 readyAt, bool keepsGuardian, bool isCustomers);

    /// @notice An announced exit was called off.
    event ExitCancelled();

    /// @notice The account left custody: custodian, all sessions and, unless kept, the guardian are gone.
    /// @param newOwner Owner from now on.
    event Exited(address indexed newOwner);

    /// @notice An implementation must say that it is one (ERC-1822).
    /// @param implementation Address that does not.
    error NotAnImplementation(address implementation);

    /// @notice Owner zero would lock the account for ever.
    error OwnerIsZero();

    /// @notice A change was not announced by who must, or must wait longer, or waited too long.
    /// @param callHash Hash of the call.
    /// @param readyAt First second at which it may be made, Unix time, or zero if it was not announced.
    error ChangeNotReady(bytes32 callHash, uint256 readyAt);

    /// @notice Such a call is not announced, or not the customer's to make.
    /// @param selector What it was.
    error NotAChange(bytes4 selector);

    /// @notice The customer's exit is announced; nothing may get in its way.
    error ExitIsPending();

    /// @notice No exit is announced, or it must wait longer.
    /// @param readyAt First second at which it may be carried out, Unix time, or zero.
    error ExitNotReady(uint256 readyAt);

    /// @notice The account is not in custody.
    error NotInCustody();

    /// @dev The owner's, and while that is a custodian announced 48 hours before, to the last byte; used once.
    modifier afterDelay() {
        if (!_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        if (_isCustodial()) _useNotice(keccak256(msg.data), owner());
        _;
    }

    /// @param entryPoint_ EntryPoint v0.8.
    /// @param selfCustody_ Implementation that an exit moves the account to; zero in the self-custody one itself.
    /// @param passkeys_ Who knows the signatures of P-256 keys.
    constructor(address entryPoint_, address selfCustody_, Passkeys passkeys_)
        AccountBase(entryPoint_, selfCustody_, passkeys_)
    {}

    /// @notice Announces a change that a custodian may make 48 hours later.
    /// @param call The whole call with its arguments: `changeOwner`, `upgradeToAndCall`, `setGuardian` or `allowCalls`.
    function scheduleChange(bytes calldata call) external onlyOwner {
        bytes4 selector = bytes4(call);
        if (
            selector != this.changeOwner.selector && selector != this.upgradeToAndCall.selector
                && selector != this.setGuardian.selector && selector != this.allowCalls.selector
        ) revert NotAChange(selector);
        _announce(call, owner());
    }

    /// @notice Proposes another owner than the present, for whom the account waits 48 hours; for the guardian alone.
    /// @param newOwner Who should own the account.
    function scheduleRecovery(address newOwner) external {
        if (msg.sender != _accountStorage().guardian) revert NotAuthorised(msg.sender);
        _announce(abi.encodeCall(this.recover, (owner(), newOwner)), msg.sender);
    }

    /// @notice Calls off an announced change or recovery; for the owner and the customer.
    /// @param callHash Hash of the call.
    function cancelChange(bytes32 callHash) external {
        if (msg.sender != _accountStorage().customer && !_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        _cancelChange(callHash);
    }

    /// @notice Enrols the customer's own key. The owner enrols the first; only the customer replaces it.
    /// @param newCustomer The key's address, or the name of a P-256 key.
    function enrolCustomer(address newCustomer) external {
        address current = _accountStorage().customer;
        bool isAllowed = current == address(0) ? _isOwnerCall(msg.sender) : msg.sender == current;
        if (!isAllowed) revert NotAuthorised(msg.sender);
        _enrolCustomer(newCustomer);
    }

    /// @notice Does what the customer's key signed, whoever brings it: `cancelChange`, `enrolCustomer`, `announceExit`
    /// or `cancelExit`.
    /// @param call The whole call with its arguments.
    /// @param signature The key's signature of `customerCallDigest(call)`.
    function callAsCustomer(bytes calldata call, bytes calldata signature) external {
        AccountStorage storage stored = _accountStorage();
        address key = stored.customer;
        if (!Signers.isSigner(key, customerCallDigest(call), signature, PASSKEYS)) revert NotSignedBy(key);
        stored.customerNonce += 1;
        bytes4 selector = bytes4(call);
        if (selector == this.cancelChange.selector) {
            _cancelChange(abi.decode(call[4:], (bytes32)));
        } else if (selector == this.enrolCustomer.selector) {
            _enrolCustomer(abi.decode(call[4:], (address)));
        } else if (selector == this.announceExit.selector) {
            (address newOwner, bool keepsGuardian) = abi.decode(call[4:], (address, bool));
            _announceExit(newOwner, keepsGuardian, true);
        } else if (selector == this.cancelExit.selector) {
            _cancelExit();
        } else {
            revert NotAChange(selector);
        }
    }

    /// @notice Gives the account to another owner; sessions stay.
    /// @param newOwner Owner from now on.
    function changeOwner(address newOwner) external afterDelay {
        _changeOwner(newOwner);
    }

    /// @notice Gives the account to the owner whom the guardian proposed 48 hours before; sessions stay until ended.
    /// @param previousOwner Owner until now, as when it was proposed.
    /// @param newOwner Owner from now on.
    function recover(address previousOwner, address newOwner) external {
        if (_accountStorage().exit.newOwner != address(0)) revert ExitIsPending();
        if (previousOwner != owner()) revert NotAuthorised(previousOwner);
        address proposer = _accountStorage().guardian;
        if (proposer == address(0)) revert NotAuthorised(msg.sender);
        _useNotice(keccak256(msg.data), proposer);
        _changeOwner(newOwner);
    }

    /// @notice Appoints a guardian; the first at once, but none while the customer's exit is announced.
    /// @param newGuardian Guardian from now on, or zero for none.
    function setGuardian(address newGuardian) external onlyOwner {
        if (_isCustodial()) {
            AccountStorage storage stored = _accountStorage();
            // The exit may keep the guardian whom the customer knew, not one who came afterwards.
            if (stored.exit.isCustomers) revert ExitIsPending();
            if (stored.guardian != address(0)) _useNotice(keccak256(msg.data), owner());
        }
        _setGuardian(newGuardian);
    }

    /// @notice Lets sessions make such calls, within their own rules. In self-custody they may without it.
    /// @param target Whom they call.
    /// @param selector What they call.
    function allowCalls(address target, bytes4 selector) external afterDelay {
        _setCallKind(target, selector, true);
    }

    /// @notice Lets sessions make such calls no longer.
    /// @param target Whom they call.
    /// @param selector What they call.
    function forbidCalls(address target, bytes4 selector) external onlyOwner {
        _setCallKind(target, selector, false);
    }

    /// @notice Announces the exit from custody; for the owner and the customer. The customer's takes the place of the
    /// owner's, and then only the customer can call it off.
    /// @param newOwner Owner afterwards, a key that the customer holds.
    /// @param keepsGuardian Whether the guardian stays.
    function announceExit(address newOwner, bool keepsGuardian) external {
        bool isCustomers = msg.sender == _accountStorage().customer;
        if (!isCustomers && !_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        _announceExit(newOwner, keepsGuardian, isCustomers);
    }

    /// @notice Calls the announced exit off: the customer any, the owner its own.
    function cancelExit() external {
        AccountStorage storage stored = _accountStorage();
        if (msg.sender != stored.customer) {
            if (!_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
            if (stored.exit.isCustomers) revert ExitIsPending();
        }
        _cancelExit();
    }

    /// @notice Carries out the announced exit, whoever calls: owner, sessions and guardian are gone in this one step.
    function exit() external {
        AccountStorage storage stored = _accountStorage();
        Exit memory announced = stored.exit;
        if (announced.newOwner == address(0) || block.timestamp < announced.readyAt) {
            revert ExitNotReady(announced.readyAt);
        }
        delete stored.exit;
        _changeOwner(announced.newOwner);
        if (!announced.keepsGuardian) _setGuardian(address(0));
        emit Exited(announced.newOwner);
        ERC1967Utils.upgradeToAndCall(SELF_CUSTODY, "");
    }

    /// @notice Replaces the implementation.
    /// @param newImplementation Contract that answers `proxiableUUID` with the ERC-1967 slot.
    /// @param data Call made to it afterwards, or empty.
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable afterDelay {
        if (newImplementation.code.length == 0) revert NotAnImplementation(newImplementation);
        try IERC1822Proxiable(newImplementation).proxiableUUID() returns (bytes32 slot) {
            if (slot != ERC1967Utils.IMPLEMENTATION_SLOT) revert NotAnImplementation(newImplementation);
        } catch {
            revert NotAnImplementation(newImplementation);
        }
        ERC1967Utils.upgradeToAndCall(newImplementation, data);
    }

    /// @notice Makes a call for a session; reached through the EntryPoint.
    /// @param policy The session's policy.
    /// @param rule The rule that lets the call through.
    /// @param proof Merkle proof of the rule in the policy's tree.
    /// @param value Native coin that goes with it, in wei.
    /// @param data Selector and arguments.
    function callBySession(
        CallPolicy calldata policy,
        CallRule calldata rule,
        bytes32[] calldata proof,
        uint256 value,
        bytes calldata data
    ) external {
        if (msg.sender != ENTRY_POINT) revert NotAuthorised(msg.sender);
        _callBySession(policy, rule, proof, value, data);
    }

    /// @notice Ends a session for calls at the wish of its own key, sent directly or as a user operation.
    /// @param policy The session's policy.
    function renounceCallSession(CallPolicy calldata policy) external {
        if (msg.sender != ENTRY_POINT && msg.sender != policy.key) revert NotAuthorised(msg.sender);
        _revokeSession(CallPolicies.id(policy));
    }

    /// @notice Stops sessions for a week; for the guardian. Only the owner ends that sooner.
    /// @param sessionIds Hashes of their packed policies.
    function holdSessions(bytes32[] calldata sessionIds) external {
        if (!_isGuardian(msg.sender)) revert NotAuthorised(msg.sender);
        for (uint256 i = 0; i < sessionIds.length; ++i) {
            _hold(sessionIds[i]);
        }
    }

    /// @notice Validates an operation signed by the key of a session for calls, for the EntryPoint by way of
    /// `validateUserOp`. Rules are judged when the call is made.
    /// @param callData The operation's calldata.
    /// @param userOpHash The operation's hash.
    /// @param signature Without its first byte.
    function validateCallSession(bytes calldata callData, bytes32 userOpHash, bytes calldata signature)
        external
        returns (uint256 validationData)
    {
        if (msg.sender != ENTRY_POINT) revert NotAuthorised(msg.sender);
        (bytes calldata ofKey, bytes calldata leave) = SessionSignatures.split(signature);
        bytes4 selector = bytes4(callData);
        if (
            callData.length < 196
                || (selector != this.callBySession.selector && selector != this.renounceCallSession.selector)
        ) revert NotASessionCall(selector);
        CallPolicy calldata policy;
        assembly ("memory-safe") {
            policy := add(callData.offset, 4)
        }
        bool genuine = Signers.isSigner(policy.key, userOpHash, ofKey, PASSKEYS);
        if (selector == this.renounceCallSession.selector) return genuine ? 0 : 1;
        genuine = _admitCallSession(policy, CallPolicies.id(policy), leave) != 0 && genuine;
        return _validationData(policy.startsAt, policy.endsAt, genuine);
    }

    /// @notice The customer's enrolled key, or zero.
    function customer() external view returns (address) {
        return _accountStorage().customer;
    }

    /// @notice The guardian, or zero.
    function guardian() external view returns (address) {
        return _accountStorage().guardian;
    }

    /// @notice Whether the owner is a key that the customer holds.
    function isSelfCustodied() external view returns (bool) {
        return !_isCustodial();
    }

    /// @notice The announced exit; all zero if there is none.
    function announcedExit() external view returns (Exit memory) {
        return _accountStorage().exit;
    }

    /// @notice First second at which an announced change may be made, Unix time, or zero if none was announced.
    /// @param callHash Hash of the call.
    function changeReadyAt(bytes32 callHash) external view returns (uint256) {
        return uint96(_accountStorage().notices[callHash]);
    }

    /// @notice Digest that the customer's key signs for a call; good once.
    /// @param call The whole call with its arguments.
    function customerCallDigest(bytes calldata call) public view returns (bytes32) {
        uint256 nonce = _accountStorage().customerNonce;
        return _typedDataHash(keccak256(abi.encode(CUSTOMER_CALL_TYPEHASH, keccak256(call), nonce)));
    }

    function _entryPoint() internal view override returns (address) {
        return ENTRY_POINT;
    }

    function _isCallAllowed(address target, bytes4 selector) internal view override returns (bool) {
        return !_isCustodial() || _accountStorage().callKinds[keccak256(abi.encode(target, selector))];
    }

    function _isCustodial() private view returns (bool) {
        return SELF_CUSTODY != address(0);
    }

    function _announce(bytes memory call, address by) private {
        bytes32 callHash = keccak256(call);
        uint256 readyAt = block.timestamp + CUSTODIAN_DELAY;
        _accountStorage().notices[callHash] = (uint256(uint160(by)) << 96) | readyAt;
        emit ChangeScheduled(callHash, call, readyAt);
    }

    /// @dev A notice counts while who gave it still is who must, and while no exit of the customer's is announced.
    function _useNotice(bytes32 callHash, address by) private {
        AccountStorage storage stored = _accountStorage();
        if (stored.exit.isCustomers) revert ExitIsPending();
        uint256 notice = stored.notices[callHash];
        uint256 readyAt = uint96(notice);
        if (
            address(uint160(notice >> 96)) != by || block.timestamp < readyAt
                || block.timestamp >= readyAt + CHANGE_WINDOW
        ) revert ChangeNotReady(callHash, readyAt);
        delete stored.notices[callHash];
    }

    function _cancelChange(bytes32 callHash) private {
        delete _accountStorage().notices[callHash];
        emit ChangeCancelled(callHash);
    }

    function _enrolCustomer(address newCustomer) private {
        _accountStorage().customer = newCustomer;
        emit CustomerEnrolled(newCustomer);
    }

    function _setGuardian(address newGuardian) private {
        _accountStorage().guardian = newGuardian;
        emit GuardianChanged(newGuardian);
    }

    function _setCallKind(address target, bytes4 selector, bool isAllowed) private {
        _accountStorage().callKinds[keccak256(abi.encode(target, selector))] = isAllowed;
        emit CallKindChanged(target, selector, isAllowed);
    }

    function _announceExit(address newOwner, bool keepsGuardian, bool isCustomers) private {
        AccountStorage storage stored = _accountStorage();
        if (!_isCustodial()) revert NotInCustody();
        if (newOwner == address(0)) revert OwnerIsZero();
        if (stored.exit.isCustomers && !isCustomers) revert ExitIsPending();
        uint256 readyAt = block.timestamp + CUSTODIAN_DELAY;
        stored.exit = Exit(newOwner, uint40(readyAt), keepsGuardian, isCustomers);
        emit ExitAnnounced(newOwner, readyAt, keepsGuardian, isCustomers);
    }

    function _cancelExit() private {
        delete _accountStorage().exit;
        emit ExitCancelled();
    }

    function _changeOwner(address newOwner) private {
        if (newOwner == address(0)) revert OwnerIsZero();
        emit OwnerChanged(owner(), newOwner);
        _accountStorage().owner = newOwner;
    }
}
